"""Public conformance cases against the functions a gate runs."""
