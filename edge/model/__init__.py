"""Frozen values of the core; no I/O, no clock."""
