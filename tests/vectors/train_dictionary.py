"""Trains `edge/ledger/data/facts-1.zdict`, the zstd dictionary of the facts of small batches.

usage: python tests/vectors/train_dictionary.py FILE

The file is committed and never changed, for batches that were packed with it are kept for years; a better one gets the
next number. What it is trained on is simulated (`tests.simulators.traffic`): nothing of anybody is in it. The same
zstandard (0.25.0, zstd 1.5.7) gives the same bytes. Its first measure and the sizes tried are in ADR 28.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import zstandard

from edge.ledger import columns
from tests.simulators import traffic

BYTES = 4096
COUNTS = (5, 5, 20, 50)
SEEDS = range(1000, 1060)


def samples() -> Iterator[bytes]:
    """Give the columns of small batches of every region that has a profile, at a busy and at a quiet gate."""
    for region in (440100, 440300, 110000, 500000, 610100):
        for gate in (traffic.BUSY, traffic.QUIET):
            for seed in SEEDS:
                for count in COUNTS:
                    drawn = traffic.entries(replace(gate, region=region), count, seed=seed)
                    yield columns.encode([entry.body for entry in drawn])


def train() -> bytes:
    """Return the dictionary."""
    return zstandard.train_dictionary(BYTES, list(samples()), level=19).as_bytes()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(train())
