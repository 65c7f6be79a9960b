"""Asking an operator's own service about a live code: the gate's question, the desk in the sync part, the way out."""
