"""Token Status Lists in CBOR (draft-ietf-oauth-status-list, 4.3): `{"bits": n, "lst": zlib bytes}`.

One file a list, at `issuers/<id>/status/<n>.cbor`. What a status means for a pass is left to `edge.verify`.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.codec import cbor
from edge.errors import EncodingRefused, ListRefused, TrustError
from edge.model.trust import PackedList

MAX_LIST_BYTES: Final = 16 << 20
"""Packed entries of one list: 67 million at two bits. Larger lists are published in parts (docs/formats.md)."""
MAX_FILE_BYTES: Final = 20 << 20
MAX_LISTS_BYTES: Final = 64 << 20
"""All packed status lists of a gate together, inflated: they stay in memory."""
_BITS: Final = (1, 2, 4, 8)
_MAP_HEADS: Final = {b"\xa2": 2, b"\xa3": 3}
_MEMBERS: Final = ("bits", "lst", "aggregation_uri")


def parse(data: bytes, uri: str) -> PackedList:
    """Return the list in `data`.

    Args:
        data: The target's bytes.
        uri: The list's stable name, for messages and identity.

    Raises:
        ListRefused: It is no status list of the admitted form, or inflates beyond 16 MiB.
    """
    try:
        members = _members(data)
    except EncodingRefused as error:
        raise ListRefused(f"{uri}: {error.message}.") from error
    return from_members(members, uri)


def from_members(members: Mapping[str, Any], uri: str) -> PackedList:
    """Return the list of decoded members, as they also stand in a signed Status List Token (there, 5.2).

    Raises:
        ListRefused: As `parse`.
    """
    bits, packed = members.get("bits"), members.get("lst")
    if type(bits) is not int or bits not in _BITS or not isinstance(packed, bytes):
        raise ListRefused(f"{uri}: bits must be 1, 2, 4 or 8 and lst a byte string.")
    return PackedList(uri, bits, _inflated(packed, uri))


def _members(data: bytes) -> dict[str, Any]:
    # The draft's own lists do not sort their keys, so the map is walked here; each item of it is still strict.
    if data[:1] not in _MAP_HEADS:
        raise EncodingRefused("not a map of bits and lst")
    found: dict[str, Any] = {}
    position = 1
    for _ in range(_MAP_HEADS[data[:1]]):
        name, position = cbor.decode_first(data, position)
        value, position = cbor.decode_first(data, position)
        if name not in _MEMBERS or name in found:
            raise EncodingRefused("a member is unknown or stands twice")
        found[name] = value
    if position != len(data):
        raise EncodingRefused("bytes follow the status list")
    return found


def _inflated(packed: bytes, uri: str) -> bytes:
    # Bounded: two kilobytes can inflate to two megabytes, and so on upwards.
    stream = zlib.decompressobj()
    try:
        entries = stream.decompress(packed, MAX_LIST_BYTES + 1)
    except zlib.error as error:
        raise ListRefused(f"{uri}: lst is not zlib data.") from error
    if len(entries) > MAX_LIST_BYTES:
        raise ListRefused(f"{uri}: lst is longer than {MAX_LIST_BYTES} bytes.")
    if not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise ListRefused(f"{uri}: lst is cut short or followed by other bytes.")
    return entries


def check_together(inflated: int) -> None:
    """Check how long all packed lists of a gate are together, bytes.

    Raises:
        TrustError: Too long.
    """
    if inflated > MAX_LISTS_BYTES:
        raise TrustError(f"The status lists together are longer than {MAX_LISTS_BYTES} bytes.")


def difference(one: PackedList, other: PackedList) -> int:
    """Return how many entries of two lists differ; those of another width all do."""
    if one.bits != other.bits:
        return max(len(found.entries) * 8 // found.bits for found in (one, other))
    length = max(len(one.entries), len(other.entries))
    bits = int.from_bytes(one.entries, "little") ^ int.from_bytes(other.entries, "little")
    # Every bit of an entry onto its lowest, then these are counted.
    folded = bits
    for shift in range(1, one.bits):
        folded |= bits >> shift
    lowest = int.from_bytes(bytes((sum(1 << bit for bit in range(0, 8, one.bits)),)) * length, "little")
    return (folded & lowest).bit_count()


def build(size: int, bits: int, statuses: Mapping[int, int]) -> bytes:
    """Return the file of a list.

    Args:
        size: Number of entries.
        bits: Bits per entry: 1, 2, 4 or 8.
        statuses: Status by index, where it is not 0.

    Raises:
        TrustError: The list would be refused by a gate, or an index lies outside it.
    """
    return pack(size, bits, statuses.items())


def pack(size: int, bits: int, statuses: Iterable[tuple[int, int]]) -> bytes:
    """Return the file of a list whose statuses are walked and not held: index and status, each index once.

    Raises:
        TrustError: As `build`.
    """
    entries = bytearray((size * bits + 7) // 8)
    if bits not in _BITS or len(entries) > MAX_LIST_BYTES:
        raise TrustError("A status list has 1, 2, 4 or 8 bits an entry and at most 16 MiB.")
    for index, status in statuses:
        if not (0 <= index < size and 0 <= status < 1 << bits):
            raise TrustError("A status or its index lies outside its list.")
        byte, slot = divmod(index, 8 // bits)
        # Least significant bits first (draft-ietf-oauth-status-list, 4.1).
        entries[byte] |= status << slot * bits
    return cbor.encode({"bits": bits, "lst": zlib.compress(bytes(entries), 9)})
