"""Gates whose logs are drawn (`tests.simulators.traffic`) and whose tokens look as random as real ones."""

from dataclasses import replace

from tests.simulators import traffic
from tests.simulators.hub_gates import Device


def drawn(number: int, count: int) -> Device:
    """Return a device whose log holds `count` drawn entries of a busy gate, a token each."""
    gate = Device(number)
    entries = traffic.entries(traffic.BUSY, count, seed=1000 + number, first=1)
    gate.entries = [replace(entry, token=entry.head[:8]) for entry in entries]
    return gate
