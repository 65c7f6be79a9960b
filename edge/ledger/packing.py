"""How the parts of a batch of version 2 are packed: a form byte, then the content, compressed where that is shorter.

`part = form || content`; a part may be withheld or destroyed by leaving its SHA-256 in its place. What a part says is
left to `edge.ledger.columns` and `edge.ledger.private`; that it is the one that was signed, to `edge.ledger.batch`.
"""

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

import zstandard

from edge.errors import EncodingRefused

STORED, ZSTD, DICTIONARY_1, WITHHELD = 0, 1, 2, 255
"""The form byte: content as it is, a zstd frame, one under dictionary 1, or the 32 bytes of SHA-256 of what went.

A dictionary is never changed: a better one gets the next number (`tests/vectors/train_dictionary.py`).
"""

MAX_PART: Final = 1 << 20
"""Largest inflated part, bytes."""
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LEVEL: Final = 19
_HASH_BYTES: Final = 32
_Dictionary = zstandard.ZstdCompressionDict


@cache
def _dictionary() -> _Dictionary:
    content = resources.files(__package__).joinpath("data", "facts-1.zdict").read_bytes()
    return _Dictionary(content, dict_type=zstandard.DICT_TYPE_FULLDICT)


def pack(content: bytes) -> bytes:
    """Return `content` as a part, in the shortest of its forms."""
    packed = (bytes((ZSTD,)) + _compressed(content, None), bytes((DICTIONARY_1,)) + _compressed(content, _dictionary()))
    return min(bytes((STORED,)) + content, *packed, key=len)


def unpack(part: bytes) -> bytes:
    """Return the content of a part.

    Raises:
        EncodingRefused: It has no known form, is withheld, does not inflate or is larger than 1 MiB inflated.
    """
    form, content = part[:1], part[1:]
    if form == bytes((STORED,)):
        return content
    if form == bytes((ZSTD,)):
        return _inflated(content, None)
    if form == bytes((DICTIONARY_1,)):
        return _inflated(content, _dictionary())
    raise EncodingRefused("the part is withheld or of a form this program does not know")


def digest(part: bytes) -> bytes:
    """Return SHA-256 of a part, 32 bytes, also where only that is left of it."""
    return part[1:] if is_withheld(part) else sha256(part).digest()


def withheld(part: bytes) -> bytes:
    """Return what stands in the place of a part that is withheld or was destroyed."""
    return bytes((WITHHELD,)) + digest(part)


def is_withheld(part: bytes) -> bool:
    """Whether only its SHA-256 is left of a part."""
    return len(part) == 1 + _HASH_BYTES and part[0] == WITHHELD


def _compressed(content: bytes, dictionary: _Dictionary | None) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, source_size=len(content), write_content_size=True, write_dict_id=False
    )
    packed = zstandard.ZstdCompressor(compression_params=settings, dict_data=dictionary).compress(content)
    # The magic number says what the form byte says (RFC 8878, 3.1.1): 4 bytes of the 60 that five scans take.
    return packed.removeprefix(_MAGIC)


def _inflated(content: bytes, dictionary: _Dictionary | None) -> bytes:
    packed = _MAGIC + content
    try:
        # The size is asked first: a frame may announce terabytes, and the library would reserve them.
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_PART:
            raise EncodingRefused("a part is too large or does not say its size")
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as bad:
        raise EncodingRefused(f"a part is no zstd frame: {bad}") from bad
