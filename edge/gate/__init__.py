"""The gate, joined: clock, the straight line, parts and their supervisor."""
