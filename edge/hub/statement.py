"""What the hub says in JSON and signs: the manifest of an export, the coverage of a day. Checked with no hub at hand.

    {"kind": "...", "signed": {...}, "signature": "hex of a COSE_Sign1"}

The signature is made over the SHA-256 of the canonical text of `signed` (keys sorted, no spaces, UTF-8), as a message
of a kind of its own (`edge.ledger.device`): no manifest can be taken for a receipt, although one key signs both.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from nacl.signing import SigningKey

from edge.errors import LedgerError
from edge.ledger import device

VERSION: Final = 1
EXPORT: Final = "export"
COVERAGE: Final = "coverage"
MAX_TEXT: Final = 256 << 20
_SIGNED_AS: Final = "statement/"


def canonical(value: Any) -> bytes:
    """Return the one text of a value of objects, lists, strings and whole numbers.

    Raises:
        ValueError: A string is no text, or a number no number.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def make(kind: str, content: Mapping[str, Any], key: SigningKey) -> bytes:
    """Return a statement, signed; `version` and the hub's `key` are set in it."""
    signed = {**content, "version": VERSION, "hub_key": key.verify_key.encode().hex()}
    signature = device.sign(f"{_SIGNED_AS}{kind}", {1: VERSION, 2: sha256(canonical(signed)).digest()}, key)
    statement = {"kind": kind, "signed": signed, "signature": signature.hex()}
    return (json.dumps(statement, ensure_ascii=False, indent=1) + "\n").encode()


def kind_of(text: bytes) -> str:
    """Return what kind of statement this says it is, unverified; empty where it is none."""
    try:
        said = json.loads(text)["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return said if isinstance(said, str) else ""


def opened(kind: str, text: bytes, hub_keys: Mapping[str, bytes] | None) -> dict[str, Any]:
    """Return what a statement says, its signature verified.

    Args:
        kind: Which kind it must be.
        text: Any bytes.
        hub_keys: The hubs' public keys by key id (hex). None takes the key that stands in it: then the signature says
            that it is whole, not whose it is.

    Raises:
        LedgerError: It is anything but a statement of this kind signed by one of these keys.
    """
    try:
        found = json.loads(text)
        signed, signature = found["signed"], bytes.fromhex(found["signature"])
        named, version = bytes.fromhex(signed["hub_key"]), signed["version"]
        # One statement has one text, but for white space: nothing may be written beside what is signed.
        is_plain = found == {"kind": kind, "signed": signed, "signature": signature.hex()}
        digest = sha256(canonical(signed)).digest()
        key_id = device.key_id(named).hex()
    except (ValueError, KeyError, TypeError, RecursionError) as bad:
        raise LedgerError(f"this is no signed {kind}", "Fetch it again.") from bad
    if not is_plain:
        raise LedgerError(f"this is no signed {kind}", "Fetch it again.")
    if version != VERSION:
        raise LedgerError(f"the {kind} is of a version this program does not read", "Update it.")
    public = named if hub_keys is None else hub_keys.get(key_id)
    if public is None:
        raise LedgerError(f"the {kind} is signed by a hub that is not trusted", "Ask the authority for the hub's key.")
    content = device.opened(f"{_SIGNED_AS}{kind}", signature, public)
    if public != named or content != {1: VERSION, 2: digest}:
        raise LedgerError(f"the {kind} is not the one that was signed", "Fetch it again.")
    result: dict[str, Any] = signed
    return result
