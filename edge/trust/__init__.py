"""The gate's trust store: last good snapshot, refresh, floors."""
