"""The papers' experiments, each at small scale on models that need no Hub, and with the papers' own where they are."""
