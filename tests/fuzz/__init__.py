"""Coverage-guided fuzzing: one module a target, run as `python -m tests.fuzz.NAME [libFuzzer options]`."""
