"""Trust from whatever folder a person has at hand: a gate's store, an authority's folder, a publication, a stick."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.errors import TrustMissing
from edge.model.trust import TrustSnapshot
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import DATABASE, TrustStore
from edge.trust.workflow import LIMITS

FIRST_ROOT: Final = "metadata/1.root.json"
TIMESTAMP: Final = "metadata/timestamp.json"
_PUBLICATIONS: Final = (".", "publication")
_STORES: Final = (".", "trust")


def publication_of(folder: Path) -> Path | None:
    """Return the publication in `folder`: itself or its `publication/`, or None."""
    for inner in _PUBLICATIONS:
        # One that a gate wrote may begin with a later root. What cannot be looked at is none; reading it says why.
        with suppress(OSError):
            if (folder / inner / FIRST_ROOT).is_file() or (folder / inner / TIMESTAMP).is_file():
                return folder / inner
    return None


def open_trust(folder: Path, now: int) -> TrustSnapshot:
    """Return the trust in `folder`.

    A gate's store is verified as the gate does it. A publication is verified from its own first root on, as a new gate
    would, expiry included: so it is trusted as far as the folder is.

    Args:
        folder: A gate's trust store or state folder, an authority's folder, or a publication.
        now: The time to judge expiry at, Unix seconds; a gate's store is not judged by it.

    Raises:
        TrustMissing: There is nothing of the kind there.
        TrustDamaged: A store does not verify.
        TrustRefused: A publication does not verify or has expired.
        TransportError: A publication cannot be read.
        TrustError: The store is busy, or no temporary folder can be made.
    """
    for inner in _STORES:
        if (folder / inner / DATABASE).is_file():
            return TrustStore(folder / inner).load()
    publication = publication_of(folder)
    if publication is None:
        raise TrustMissing(
            f"{folder} is neither a trust store, an authority's folder nor a publication.",
            "Name one of them with --trust.",
        )
    fetcher = FolderFetcher(publication)
    with tempfile.TemporaryDirectory(prefix="edge-trust-") as temporary:
        store = TrustStore.init(Path(temporary), fetcher.fetch(FIRST_ROOT, LIMITS.root))
        store.refresh(fetcher, now)
        return store.load()
