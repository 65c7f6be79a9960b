"""The catalogue: every reason and finding in every language."""
