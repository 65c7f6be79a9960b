"""Files that are whole or not there; shared by every part that keeps small files."""
