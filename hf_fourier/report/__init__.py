"""What a user sees, made from results alone: figures, and later reports and cards. Nothing here needs a model."""
