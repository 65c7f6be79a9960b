"""What a disk may hold after a power cut, made from a log of everything it was sent.

The log is the one of QEMU's `blklogwrites` and of Linux's dm-log-writes (linux/drivers/md/dm-log-writes.c, `struct
log_write_super` and `log_write_entry`): a superblock, then one sector for each write, flush or discard, followed by its
data; numbers are little-endian. A disk with a volatile cache keeps everything that it had finished before the last
flush, every write with FUA, and any part of the rest: some writes and not others, some sectors of a write and not
others. QEMU writes an entry down when it is finished: a write in flight beside a flush counts as flushed here.
"""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
SECTORS = (512, 4096)
"""What disks write whole or not at all, bytes."""
SURVIVING = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Shares of the volatile cache that reach the disk."""
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing a disk was sent.

    Attributes:
        offset: Where, bytes.
        data: What was written; empty for a flush or a discard.
        flags: FLUSH, FUA, DISCARD.
    """

    offset: int
    data: bytes
    flags: int


def read(log: bytes) -> list[Sent]:
    """Return everything a log holds, in the order in which the disk finished it.

    Raises:
        ValueError: It is no such log, or ends before its last entry.
    """
    if len(log) < _SUPER.size:
        raise ValueError("this is no log of writes")
    magic, version, count, sector = _SUPER.unpack_from(log)
    if (magic, version) != (MAGIC, 1):
        raise ValueError("this is no log of writes")
    found, at = [], sector
    for _ in range(count):
        if at + sector > len(log):
            raise ValueError("the log of writes is cut short")
        first, sectors, flags, _ = _ENTRY.unpack_from(log, at)
        at += sector
        size = 0 if flags & DISCARD else sectors * sector
        if at + size > len(log):
            raise ValueError("the log of writes is cut short")
        found.append(Sent(first * sector, log[at : at + size], flags))
        at += size
    return found


class Replay:
    """A disk at one moment after another; moments go forwards only.

    Args:
        before: What the disk held before the log.
        sent: The log.
    """

    def __init__(self, before: bytes, sent: Sequence[Sent]) -> None:
        self._durable = bytearray(before)
        self._sent = sent
        self._at = 0

    def cut(self, moment: int, dice: random.Random) -> bytes:
        """Return what a disk may hold where power goes after the first `moment` things it finished.

        Args:
            moment: How many things it had finished; not less than the time before.
            dice: Draws what of the volatile cache survived: whole writes, or sectors of 512 or 4,096 bytes of each.
        """
        flushed = max((n for n in range(self._at, moment) if self._sent[n].flags & FLUSH), default=self._at)
        for one in self._sent[self._at : flushed]:
            _write(self._durable, one)
        self._at = flushed
        disk = bytearray(self._durable)
        share, unit = dice.choice(SURVIVING), dice.choice((None, *SECTORS))
        for one in self._sent[flushed:moment]:
            step = (None if one.flags & FUA else unit) or len(one.data) or 1
            for start in range(0, len(one.data), step):
                if one.flags & FUA or dice.random() < share:
                    _write(disk, Sent(one.offset + start, one.data[start : start + step], 0))
        return bytes(disk)


def _write(disk: bytearray, one: Sent) -> None:
    disk[one.offset : one.offset + len(one.data)] = one.data
