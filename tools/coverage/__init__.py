"""Which models of the installed `transformers` can be explained: each is built small, with fresh weights, and tried."""
