"""Reports and cards on the Hub."""
