"""A change on its way between desks: the request as it went out, and the signatures that have come back."""

import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # documented there

from edge.authority import ceremony
from edge.authority.ceremony import RoleSignature, SigningRequest
from edge.authority.draft import Cause, Draft, content
from edge.disk import durable
from edge.errors import PublicationError

REQUEST: Final = "request.json"
SIGNATURES: Final = "signatures.json"
_DISCARD: Final = "Ask for it anew: edge authority request DIR"


class Pending:
    """The folder `pending/` of an authority; missing while nothing is on its way.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def request(self) -> SigningRequest | None:
        """Return the request that is out, or None.

        Raises:
            PublicationError: It cannot be read.
        """
        data = self._read(REQUEST)
        return None if data is None else ceremony.decode(data, str(self.folder / REQUEST))

    def put(self, request: SigningRequest) -> Path:
        """Keep a request in place of whatever was pending, whose signatures no longer count; return its file.

        Raises:
            PublicationError: The file system refuses.
        """
        self.clear()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            durable.write(self.folder / REQUEST, request.encode())
        except OSError as error:
            raise self._unwritable(error) from error
        return self.folder / REQUEST

    def kept(self) -> tuple[RoleSignature, ...]:
        """Return the signatures that have come back.

        Raises:
            PublicationError: They cannot be read.
        """
        data = self._read(SIGNATURES)
        return () if data is None else ceremony.decode_signatures(data, str(self.folder / SIGNATURES))

    def signatures(self) -> dict[str, dict[str, Signature]]:
        """Return the signatures that have come back, by role and key id.

        Raises:
            PublicationError: They cannot be read.
        """
        found: dict[str, dict[str, Signature]] = {}
        for one in self.kept():
            found.setdefault(one.role, {})[one.keyid] = one.tuf
        return found

    def collect(self, offered: Mapping[str, Iterable[RoleSignature]]) -> list[RoleSignature]:
        """Add signatures to those that have come back; either all of them count, or nothing is kept.

        Args:
            offered: Signatures by the name of the file they came in.

        Returns:
            Every signature there is now.

        Raises:
            PublicationError: Nothing is pending; or one is by a key that does not count, by one that has signed
                already, over other bytes, or does not hold. The message names file, role and key.
        """
        request = self.request()
        if request is None:
            raise PublicationError("Nothing is waiting for signatures.", "Run: edge authority request DIR")
        drafts = {draft.role: draft for draft in ceremony.examine(request).drafts}
        kept = list(self.kept())
        for place, signatures in offered.items():
            for one in signatures:
                # Desks send files one by one: the same signature again is no news, and stands in nobody's way.
                if one in kept:
                    continue
                _check(one, place, drafts, kept)
                kept.append(one)
        try:
            durable.write(self.folder / SIGNATURES, ceremony.encode_signatures(kept))
        except OSError as error:
            raise self._unwritable(error) from error
        return kept

    def match(self, drafts: tuple[Draft, ...]) -> tuple[Draft, ...]:
        """Return the drafts with what desks have been shown put in place of the same made anew.

        Raises:
            PublicationError: What is wanted now is not what was asked for.
        """
        request = self.request()
        if request is None:
            return drafts
        asked = {draft.role: draft for draft in ceremony.examine(request).drafts}
        found: list[Draft] = []
        for draft in drafts:
            one = asked.pop(draft.role, None)
            if one is None and draft.cause is Cause.RENEWED:
                found.append(draft)
            elif one is None or one.version != draft.version or content(one.signed) != content(draft.signed):
                raise PublicationError(f"Role {draft.role} has changed since its signatures were asked for.", _DISCARD)
            else:
                found.append(Draft(one.role, one.signed, draft.needs, draft.cause))
        for role in asked:
            raise PublicationError(f"Role {role} is not to be changed any more.", _DISCARD)
        return tuple(found)

    def clear(self) -> None:
        """Forget what was pending.

        Raises:
            PublicationError: The file system refuses.
        """
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unwritable(error) from error

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PublicationError(f"{self.folder / name} cannot be read: {error.strerror}.", _DISCARD) from error

    def _unwritable(self, error: OSError) -> PublicationError:
        return PublicationError(f"{self.folder} cannot be written: {error.strerror}.", "Check permissions and space.")


def _check(one: RoleSignature, place: str, drafts: Mapping[str, Draft], kept: Iterable[RoleSignature]) -> None:
    """Check one signature against what is pending."""
    who = f"{place}: the signature of key {one.keyid[:8]} for {one.role}"
    draft = drafts.get(one.role)
    if draft is None:
        raise PublicationError(f"{who} is for a role that is not pending.", _WRONG)
    if one.version != draft.version or one.sha256 != sha256(draft.payload).hexdigest():
        raise PublicationError(f"{who} is over other bytes than those asked for.", _WRONG)
    if one.keyid not in draft.keys:
        raise PublicationError(f"{who} is by a key that does not count there.", "Sign with a key of that role.")
    if any((other.role, other.keyid) == (one.role, one.keyid) for other in kept):
        raise PublicationError(f"{who} is there already: one key counts once.", "Have another key sign.")
    if not any(one.keyid in need.signers(draft.payload, {one.keyid: one.tuf}) for need in draft.needs):
        raise PublicationError(f"{who} does not hold.", _WRONG)


_WRONG: Final = "Nothing was kept. Sign the request that is pending, and bring that file."
