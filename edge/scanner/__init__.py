"""Frames to symbols."""
