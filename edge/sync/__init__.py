"""Push of scans and refresh of trust: the only part with a network."""
