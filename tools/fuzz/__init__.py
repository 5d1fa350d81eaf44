"""Generated hostile input for every reader and entry point, and a table of how each case ends."""
