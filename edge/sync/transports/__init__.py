"""Ways to the hub."""
