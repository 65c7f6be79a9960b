"""National root, issuers, publication of trust, reference issuing."""
