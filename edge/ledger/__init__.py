"""The scan log as mathematics: canonical bytes, chain, tokens, sealing, batch, receipt."""
