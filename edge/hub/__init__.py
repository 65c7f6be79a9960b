"""Central: receives batches, keeps the ledger, answers pulls."""
