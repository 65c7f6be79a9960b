"""The reference holder: a key that never leaves, a pass bound to it, and a code that is signed anew as it is shown."""
