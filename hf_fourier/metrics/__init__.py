"""Games that delete features and watch the model, and what is reduced from their curves."""
