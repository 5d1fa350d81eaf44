"""Examples from files: sounds, volumes, cells, pickled dictionaries."""
