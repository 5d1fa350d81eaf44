"""A model as a score: one number per example, its gradient, and what is deleted from what it reads."""
