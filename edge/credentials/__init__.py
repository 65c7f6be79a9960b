"""Bytes to credentials, one file per format; nothing here believes anything."""
