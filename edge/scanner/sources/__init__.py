"""Frame sources, one file per kind."""
