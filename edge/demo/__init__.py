"""A camera and people for real processes to look at; nothing else knows of it."""
