"""Signatures for drafts: made with the keys at hand, gathered from several desks, counted against the threshold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # documented there
from tuf.api.metadata import Metadata

from edge.authority import keys, sealed
from edge.authority.draft import Cause, Draft
from edge.authority.keys import KeyFolder, Passphrase
from edge.errors import PublicationError


@dataclass(slots=True)
class SignedDraft:
    """A draft and who has signed it so far.

    Attributes:
        draft: The draft.
        signatures: Signatures by key id.
    """

    draft: Draft
    signatures: dict[str, Signature] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """How many signatures are missing, at least."""
        payload = self.draft.payload
        return max(need.missing(payload, self.signatures) for need in self.draft.needs)

    @property
    def data(self) -> bytes:
        """The metadata file, signatures in the order of the keys."""
        ordered = {id_: self.signatures[id_] for id_ in self.draft.keys if id_ in self.signatures}
        return Metadata(self.draft.signed, ordered).to_bytes()


def sign_here(
    drafts: Iterable[Draft],
    folder: KeyFolder,
    passphrase: Passphrase | None,
    gathered: Mapping[str, Mapping[str, Signature]],
) -> tuple[SignedDraft, ...]:
    """Sign drafts with the keys of `keys/`, beside what other desks have signed.

    Sealed keys are opened only where a signature is still missing, and only where a passphrase can be asked for.

    Args:
        drafts: What to sign.
        folder: The keys at hand.
        passphrase: Asks for passphrases; None where nobody can be asked.
        gathered: Signatures by key id, by role.

    Raises:
        PublicationError: A key is damaged, readable by others, or its passphrase is wrong.
    """
    found = tuple(SignedDraft(draft, dict(gathered.get(draft.role, {}))) for draft in drafts)
    for signed in found:
        names = folder.of_role(signed.draft.role)
        _sign(signed, folder, [name for name in names if not folder.is_sealed(name)], None)
        if passphrase is not None:
            _sign_sealed(signed, folder, [name for name in names if folder.is_sealed(name)], passphrase)
    return found


def _sign_sealed(signed: SignedDraft, folder: KeyFolder, names: list[str], passphrase: Passphrase) -> None:
    for name in names:
        public = sealed.public_of(keys.read(folder.place(name)), name).hex()
        if not signed.missing:
            return
        if any(key.keyval.get("public") == public for key in signed.draft.keys.values()):
            _sign(signed, folder, [name], passphrase)


def _sign(signed: SignedDraft, folder: KeyFolder, names: list[str], passphrase: Passphrase | None) -> None:
    payload = signed.draft.payload
    for name in names:
        signer = folder.signer(name, passphrase)
        id_ = signer.public_key.keyid
        if id_ in signed.draft.keys and id_ not in signed.signatures:
            signed.signatures[id_] = signer.sign(payload)


def refuse_unmet(signed: Iterable[SignedDraft], now: int, in_force: Mapping[str, int]) -> tuple[SignedDraft, ...]:
    """Return what is signed by enough keys; what is not, and only renews what still holds, is left for later.

    Args:
        signed: Drafts with their signatures.
        now: Unix seconds.
        in_force: Until when the role's metadata in force holds, Unix seconds, by role.

    Raises:
        PublicationError: A change, or a renewal of what has run out, is signed by too few.
    """
    met: list[SignedDraft] = []
    for one in signed:
        if not one.missing:
            met.append(one)
        elif one.draft.cause is not Cause.RENEWED or in_force.get(one.draft.role, 0) <= now:
            raise PublicationError(_unmet(one), "Have it signed: edge authority request DIR")
    return tuple(met)


def _unmet(one: SignedDraft) -> str:
    role, payload = one.draft.role, one.draft.payload
    need = max(one.draft.needs, key=lambda need: need.missing(payload, one.signatures))
    have = len(set(need.signers(payload, one.signatures).values()))
    why = {
        Cause.CHANGED: "It changes",
        Cause.RESIGNED: "Keys that signed it have left it",
        Cause.RENEWED: "It has run out",
    }[one.draft.cause]
    return f"Role {role} is signed by {have} of the {need.threshold} keys it needs. {why}, so nothing is published."
