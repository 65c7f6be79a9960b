"""No key may be weak, and none may serve two uses: what holds wherever a public key enters trust.

A key that signs passes and receipts, or one that two issuers share, lets whoever holds it for one purpose act for the
other. Which bytes are a fit key at all is `edge.codec.ed25519`'s to say.
"""

from collections.abc import Iterable, Mapping
from itertools import chain

from tuf.api.metadata import Key  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.codec.ed25519 import refuse_weak_point, signing_forms
from edge.errors import EncodingRefused, TrustError
from edge.model.trust import Anchor, IssuerKey

ED25519 = "ed25519"


def weak_key(keys: Mapping[str, Key]) -> str | None:
    """Return the id of a TUF key that is weak or malformed, or None; root and delegations are held to it.

    Keys of other types are left to the library: their points have no small subgroup to fall into.
    """
    for id_, key in keys.items():
        if key.keytype != ED25519:
            continue
        try:
            refuse_weak_point(bytes.fromhex(str(key.keyval.get("public", ""))))
        except (EncodingRefused, ValueError):
            return id_
    return None


def publics(keys: Iterable[Key]) -> frozenset[bytes]:
    """Return the plain public keys of those TUF keys that are Ed25519 and well-formed."""
    found = set()
    for key in keys:
        if key.keytype == ED25519:
            try:
                found.add(bytes.fromhex(str(key.keyval.get("public", ""))))
            except ValueError:
                continue
    return frozenset(found)


def check_uses(
    issuer_keys: Mapping[tuple[str, bytes], tuple[IssuerKey, ...]],
    hub_keys: Iterable[bytes],
    *,
    auditor: bytes | None,
    roles: frozenset[bytes],
    anchors: Iterable[Anchor] = (),
) -> None:
    """Check that no key serves two uses.

    Args:
        issuer_keys: Keys that sign passes.
        hub_keys: Keys that sign receipts and time codes.
        auditor: The X25519 key that personal fields are sealed to, or None.
        roles: Keys that sign metadata.
        anchors: Keys of other systems.

    Raises:
        TrustError: One does; the message names both uses.
    """
    uses: dict[bytes, str] = dict.fromkeys(roles, "a key that signs the publication")
    if auditor is not None:
        uses |= dict.fromkeys(signing_forms(auditor), "the auditor's key")
    named = chain(
        ((key.public, f"a key of issuer {key.issuer}") for keys in issuer_keys.values() for key in keys),
        ((public, "a key of a hub") for public in hub_keys),
        ((anchor.public, f"a foreign key of issuer {anchor.issuer}") for anchor in anchors),
    )
    for public, use in named:
        other = uses.setdefault(public, use)
        if other != use:
            raise TrustError(f"The publication uses {public.hex()[:16]}... as {use} and as {other}.")
