"""The gate's identity and its enrolment at a hub."""
