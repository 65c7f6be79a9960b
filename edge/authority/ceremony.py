"""What desks hand each other: a signing request, and the signatures that come back. Both are files for a stick.

A request carries what is in force, what shall follow, and the files that changed, so that a desk with nothing but its
key verifies and shows what it signs (`edge.authority.changes`) instead of believing a summary. The folder in which the
centre gathers the signatures is `edge.authority.pending`.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # documented there
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Metadata,
    Root,
    Targets,
)
from tuf.api.serialization.json import CanonicalJSONSerializer

from edge.authority import roles
from edge.authority.draft import (
    Cause,
    Draft,
    Published,
    cause_of,
    listed_after,
    needs_of,
    refuse_weak,
)
from edge.authority.roles import ROOT, TARGETS
from edge.errors import PublicationError, TrustError
from edge.trust import workflow
from edge.trust.fields import MAX_JSON_BYTES, SCHEMA, Document, Fields, iso
from edge.trust.workflow import COSIGNED, LIMITS, SUNSET, Verified

_REQUEST: Final = "edge signing request"
_SIGNATURES: Final = "edge signatures"
CARRIED_BYTES: Final = 2 << 20
"""Changed files that a request carries, the small ones first; larger ones are named by their hash alone."""
_AGAIN: Final = "Make the request again: edge authority request DIR"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A target file as it is and as it shall be.

    Attributes:
        path: Its target path.
        before: Its bytes in force, None where there are none or they are not carried.
        after: Its bytes to be, None likewise.
    """

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What is to be signed, with all that is needed to judge it.

    Attributes:
        made_at: When it was made, Unix seconds.
        roots: Every root there ever was, so that a desk can follow from the one it knows.
        in_force: Metadata files by role: the targets and whatever changes, the root apart.
        payloads: What is to be signed by role, canonical bytes, delegators first.
        files: The files that change.
    """

    made_at: int
    roots: tuple[bytes, ...]
    in_force: Mapping[str, bytes]
    payloads: Mapping[str, bytes]
    files: tuple[ChangedFile, ...]

    def encode(self) -> bytes:
        """Return its file."""
        members = {
            "schema": SCHEMA,
            "kind": _REQUEST,
            "made_at": iso(self.made_at),
            "roots": [{"metadata": _b64(data)} for data in self.roots],
            "in_force": [{"role": role, "metadata": _b64(data)} for role, data in self.in_force.items()],
            "payloads": [{"role": role, "payload": _b64(data)} for role, data in self.payloads.items()],
            "files": [
                {
                    "path": file.path,
                    "before": None if file.before is None else _b64(file.before),
                    "after": None if file.after is None else _b64(file.after),
                }
                for file in self.files
            ],
        }
        return json.dumps(members, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(row: Fields, name: str) -> bytes:
    try:
        return base64.b64decode(row.text(name, MAX_JSON_BYTES), validate=True)
    except binascii.Error:
        raise row.fault(name, "is not Base64") from None


def decode(data: bytes, place: str) -> SigningRequest:
    """Return the request in a file; what it asks for is judged by `examine`.

    Raises:
        PublicationError: It is no signing request.
    """
    try:
        document = Document(data, place)
        if document.text("kind") != _REQUEST:
            raise document.fault("kind", f"must be {_REQUEST!r}")
        found = SigningRequest(
            document.time("made_at"),
            tuple(_unb64(row, "metadata") for row in document.objects("roots", LIMITS.rotations + 1)),
            {row.text("role"): _unb64(row, "metadata") for row in document.objects("in_force", 1000)},
            {row.text("role"): _unb64(row, "payload") for row in document.objects("payloads", 1000)},
            tuple(
                ChangedFile(
                    row.text("path"),
                    _unb64(row, "before") if row.has("before") else None,
                    _unb64(row, "after") if row.has("after") else None,
                )
                for row in document.objects("files")
            ),
        )
        document.refuse_unread()
    except TrustError as error:
        raise PublicationError(error.message, _AGAIN) from error
    return found


def request_of(
    roots: tuple[bytes, ...], before: Published, drafts: Iterable[Draft], *, files: Iterable[ChangedFile], now: int
) -> SigningRequest:
    """Return the request for drafts.

    Args:
        roots: Every root there ever was.
        before: What is in force.
        drafts: What is to be signed.
        files: Every file that changes, with its content; the request carries as many as fit.
        now: Unix seconds.
    """
    drafts = tuple(drafts)
    names = [TARGETS]
    for draft in drafts:
        parent = roles.parent_of(draft.role, before.delegated)
        names += [name for name in (parent, draft.role) if name not in {None, ROOT}]
    in_force = {name: found.raw for name in dict.fromkeys(names) if (found := before.offline(name)) is not None}
    return SigningRequest(now, roots, in_force, {draft.role: draft.payload for draft in drafts}, _carried(files))


def _carried(files: Iterable[ChangedFile]) -> tuple[ChangedFile, ...]:
    left = CARRIED_BYTES
    found: list[ChangedFile] = []
    for file in sorted(files, key=lambda file: (len(file.before or b"") + len(file.after or b""), file.path)):
        left -= len(file.before or b"") + len(file.after or b"")
        found.append(file if left >= 0 else ChangedFile(file.path, None, None))
    return tuple(sorted(found, key=lambda file: file.path))


@dataclass(frozen=True, slots=True)
class Examined:
    """A request that holds together.

    Attributes:
        request: The request.
        before: What is in force, its signatures verified.
        drafts: What is to be signed, with the keys that count.
    """

    request: SigningRequest
    before: Published
    drafts: tuple[Draft, ...]


def examine(request: SigningRequest) -> Examined:
    """Verify all of a request that can be verified with nothing else at hand.

    What is in force must be signed as it has to be; what shall follow must be the next version of its role, written
    canonically, within the paths of its role, without weak keys; the files carried must be the files named.

    Raises:
        PublicationError: It does not hold; the message says what.
    """
    try:
        before = _before(request)
    except TrustError as error:
        raise PublicationError(f"What the request says is in force does not verify: {error.message}", _AGAIN) from error
    fresh = {role: _opened(role, payload) for role, payload in request.payloads.items()}
    if not fresh:
        raise PublicationError("The request asks for nothing.", _AGAIN)
    found: list[Draft] = []
    for role, signed in fresh.items():
        _check_next(role, signed, before, fresh)
        needs, current = needs_of(role, before, fresh), before.offline(role)
        cause = cause_of(current, signed, needs) if current else Cause.CHANGED
        found.append(Draft(role, signed, needs, cause))
    examined = Examined(request, before, tuple(found))
    _check_files(examined)
    return examined


def _before(request: SigningRequest) -> Published:
    if not request.roots or ROOT in request.in_force:
        raise PublicationError("it names no root, or one beside its roots.")
    root = workflow.first_root(request.roots[0])
    for data in request.roots[1:]:
        root = workflow.next_root(root, data)
    found: dict[str, Verified[Any]] = {}
    fresh: dict[str, Any] = {}
    for name in sorted(request.in_force, key=lambda name: (name != TARGETS, len(roles.region_of(name)), name)):
        signed = _metadata(name, request.in_force[name])
        (need,) = needs_of(name, Published(root), fresh)
        if need.missing(signed.signed_bytes, signed.signatures):
            raise PublicationError(f"role {name} is signed by too few of its keys.")
        signers = need.signers(signed.signed_bytes, signed.signatures)
        found[name] = Verified(signed.signed, request.in_force[name], signers, need.threshold)
        fresh[name] = signed.signed
    targets = found.pop(TARGETS, None)
    return Published(root, None, None, targets, found)


def _metadata(role: str, data: bytes) -> Metadata[Any]:
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
        found.signed_bytes  # noqa: B018  # values without a canonical form (floats) fail here
    except RepositoryError as error:
        raise PublicationError(f"role {role} is not TUF metadata.", _AGAIN) from error
    signed: Any = found.signed
    if not isinstance(signed, Root if role == ROOT else Targets):
        raise PublicationError(f"role {role} has metadata of another type.", _AGAIN)
    if any("sha256" not in target.hashes for target in getattr(signed, "targets", {}).values()):
        raise PublicationError(f"role {role} lists a target without SHA-256.", _AGAIN)
    return found


def sunset_of(root: Root) -> str | None:
    """Return until when a root lets policies run, or None where it sets no bound.

    Raises:
        PublicationError: It is not a time.
    """
    found = root.unrecognized_fields.get(SUNSET)
    try:
        return None if found is None else iso(Fields({SUNSET: found}, "root", []).time(SUNSET))
    except TrustError as error:
        raise PublicationError(error.message, _AGAIN) from error


def approved_of(targets: Targets) -> dict[str, str]:
    """Return the deltas that targets metadata approves, SHA-256 in hexadecimal by path.

    Raises:
        PublicationError: They are not of their form.
    """
    try:
        rows = Fields({COSIGNED: targets.unrecognized_fields.get(COSIGNED, [])}, "targets", []).objects(COSIGNED)
        return {row.text("path"): row.data("sha256", 32, 32).hex() for row in rows}
    except TrustError as error:
        raise PublicationError(error.message, _AGAIN) from error


def _opened(role: str, payload: bytes) -> Any:
    try:
        text = json.loads(payload)
        wrapped = json.dumps({"signed": text, "signatures": []}).encode()
    except (ValueError, RecursionError) as error:
        raise PublicationError(f"What is to be signed for {role} is not JSON.", _AGAIN) from error
    signed = _metadata(role, wrapped).signed
    # Otherwise what is shown and what is signed could differ.
    if CanonicalJSONSerializer().serialize(signed) != payload:
        raise PublicationError(f"What is to be signed for {role} is not canonical.", _AGAIN)
    return signed


def _check_next(role: str, signed: Any, before: Published, fresh: Mapping[str, Any]) -> None:
    if role in roles.ONLINE or not roles.is_role_name(role):
        raise PublicationError(f"{role[:40]} is no role that people sign.", _AGAIN)
    current = before.offline(role)
    follows = current.signed.version + 1 if current else 1
    if signed.version != follows:
        raise PublicationError(f"Role {role} is offered as version {signed.version}; {follows} follows.", _AGAIN)
    if role == ROOT:
        _check_roles(signed.keys, signed.roles)
        sunset_of(signed)
        return
    approved_of(signed)
    _check_delegations(role, signed)
    parent = roles.parent_of(role, (*fresh, *before.delegated))
    if parent is None:
        return
    offered = fresh.get(parent)
    in_force = before.offline(parent)
    delegator = offered if offered is not None else in_force.signed if in_force else Targets()
    delegated = (delegator.delegations.roles or {}).get(role) if delegator.delegations else None
    for path in signed.targets:
        if delegated is None or not delegated.is_delegated_path(path):
            raise PublicationError(f"Role {role} is to sign {path}, which is not its own.", _AGAIN)


def _check_delegations(role: str, signed: Any) -> None:
    if signed.delegations is None:
        return
    _check_roles(signed.delegations.keys, signed.delegations.roles or {})
    try:
        workflow.check_delegations(role, signed)
    except TrustError as error:
        raise PublicationError(error.message, _AGAIN) from error


def _check_roles(keys: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    """Check that roles are held by sound keys, each one key, and that their thresholds can be met."""
    refuse_weak(keys.values())
    if len({str(key.keyval["public"]) for key in keys.values()}) != len(keys):
        raise PublicationError("One key is to stand under two ids.", _AGAIN)
    for name, role in named.items():
        ids = [id_ for id_ in role.keyids if isinstance(id_, str) and id_ in keys]
        if len(ids) != len(role.keyids) or not 1 <= role.threshold <= len(set(ids)):
            raise PublicationError(f"Role {name} is to have {role.threshold} of {len(ids)} keys.", _AGAIN)


def _check_files(examined: Examined) -> None:
    was = examined.before.listed()
    becomes = {path: one.hashes["sha256"] for path, one in listed_after(examined.before, examined.drafts).items()}
    for file in examined.request.files:
        for data, listed in ((file.before, was), (file.after, becomes)):
            if data is not None and sha256(data).hexdigest() != listed.get(file.path):
                raise PublicationError(f"{file.path} in the request is not the file that its hash names.", _AGAIN)


# What comes back


@dataclass(frozen=True, slots=True)
class RoleSignature:
    """One key's signature of one role.

    Attributes:
        role: The role.
        version: Its version.
        sha256: SHA-256 of what was signed, hexadecimal.
        keyid: TUF key id of the signer.
        signature: The signature, hexadecimal.
    """

    role: str
    version: int
    sha256: str
    keyid: str
    signature: str

    @property
    def tuf(self) -> Signature:
        """The signature as TUF metadata writes it."""
        return Signature(self.keyid, self.signature)


def encode_signatures(signatures: Iterable[RoleSignature]) -> bytes:
    """Return the file of signatures."""
    rows = [
        {
            "role": one.role,
            "version": one.version,
            "sha256": one.sha256,
            "keyid": one.keyid,
            "signature": one.signature,
        }
        for one in signatures
    ]
    members = {"schema": SCHEMA, "kind": _SIGNATURES, "signatures": rows}
    return json.dumps(members, sort_keys=True, indent=1).encode() + b"\n"


def decode_signatures(data: bytes, place: str) -> tuple[RoleSignature, ...]:
    """Return the signatures in a file; whether they hold is judged by `Pending.collect`.

    Raises:
        PublicationError: It is no file of signatures.
    """
    try:
        document = Document(data, place)
        if document.text("kind") != _SIGNATURES:
            raise document.fault("kind", f"must be {_SIGNATURES!r}")
        found = tuple(
            RoleSignature(
                row.text("role"),
                row.integer("version", 1, 1 << 53),
                row.data("sha256", 32, 32).hex(),
                row.data("keyid", 32, 32).hex(),
                row.data("signature", 64, 64).hex(),
            )
            for row in document.objects("signatures", 5000)
        )
        document.refuse_unread()
    except TrustError as error:
        raise PublicationError(error.message, "Sign the request again and bring that file.") from error
    return found
