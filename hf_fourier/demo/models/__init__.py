"""Architectures that transformers does not have, for the assets that need them."""
