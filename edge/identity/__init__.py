"""Who this gate is: its device key and what it was enrolled as, read by every part, written by provisioning."""
