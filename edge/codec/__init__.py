"""Strict, bounded encodings shared by credentials and ledger: CBOR, COSE_Sign1, base45."""
