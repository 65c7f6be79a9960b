"""Checkpoint gates that verify locally, go on without a network and prove every scan afterwards."""
