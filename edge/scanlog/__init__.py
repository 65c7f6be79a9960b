"""The gate's database of entries."""
