"""The hub's side of a stick, as small as the tests need it: every file is posted as it is, receipts are written back.

`edge hub import` is the command that people use; it reads what this reads and writes what this writes.
"""

from collections.abc import Callable
from pathlib import Path

from edge.codec import cbor
from edge.ledger import stick

Post = Callable[[bytes], bytes]
"""Posts a CBOR sequence of batches and returns the answer's bytes."""


def files_on(mount: Path) -> list[Path]:
    """Return the files of batches on a stick, in the order of their names."""
    return sorted((mount / stick.FOLDER).glob(f"*/*{stick.SUFFIX}"))


def import_stick(mount: Path, post: Post, *, backwards: bool = False) -> list[str]:
    """Post what a stick carries and write the receipts; return the kinds of what was refused."""
    refused: list[str] = []
    for file in sorted(files_on(mount), reverse=backwards):
        receipts = []
        for item in cbor.decode(post(file.read_bytes())):
            if item[0] == 1:
                receipts.append(item[1])
            else:
                refused.append(item[1])
        if receipts:
            back = file.parent / stick.RECEIPTS
            before = back.read_bytes() if back.exists() else b""
            # Each once: the newest says all, and the earlier ones are old to the gate.
            back.write_bytes(before + receipts[-1])
    return refused
