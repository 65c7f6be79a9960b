"""Enrolment: an invitation, one exchange with the hub, and this device is one of its gates.

Every step can be repeated after an interruption: the device key is made once, the hub answers the same key and token
again with the same, the trust store keeps the root it has, and `enrolment.json` is written last. The parts of a running
gate notice it by themselves.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from edge.errors import EdgeError, EnrolmentError, LedgerError, SourceError
from edge.identity.daykeys import FILE as TOKEN_FILE
from edge.identity.daykeys import save_day_keys
from edge.identity.identity import ENROLMENT_FILE, KEY_FILE, Enrolment, make_identity, save_enrolment
from edge.ledger import device, enrolment
from edge.ledger.enrolment import EnrolmentAnswer, EnrolmentRequest, Invitation
from edge.ledger.tokens import DayKey
from edge.provision import owner
from edge.scanner.still import read_image
from edge.sync.client import enrol as exchange
from edge.sync.transport import Transport
from edge.sync.transports.http import HttpTransport
from edge.trust.fetchers import HttpFetcher
from edge.trust.store import TrustStore

TRUST_FOLDER: Final = "trust"
TIMEOUT_S: Final = 15.0
_EARLY_S: Final = 86_400
"""An invitation from further in the future than this says that this device's clock is wrong."""
_BOM: Final = b"\xef\xbb\xbf"
_MAX_FILE: Final = 64 * 1024 * 1024
_PICTURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\x00", b"MM\x00*", b"RIFF")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of an enrolment.

    Attributes:
        enrolment: What the gate now is.
        trust_version: Version of the trust timestamp that was fetched, 0 where it must follow later.
        trust_problem: Why trust could not be fetched yet, empty where it was.
    """

    enrolment: Enrolment
    trust_version: int
    trust_problem: str = ""


def read_invitation(given: str) -> Invitation:
    """Return the invitation in a code, a text file or a picture.

    Raises:
        EnrolmentError: There is none in it, or it was altered.
    """
    if given.startswith(enrolment.PREFIX.decode()):
        return enrolment.open_invitation(given.encode())
    path = Path(given)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE)
    except (OSError, ValueError) as error:
        raise EnrolmentError(
            "This is neither an invitation (EDGE1:...) nor a file that can be read.",
            "Ask the hub: edge hub invite DIR --site SITE --lane LANE --png FILE",
        ) from error
    if content.startswith(_PICTURES):
        return enrolment.open_invitation(_in_picture(path, content))
    return enrolment.open_invitation(content.removeprefix(_BOM).strip())


def _in_picture(path: Path, content: bytes) -> bytes:
    try:
        found = [symbol.raw for symbol in read_image(content) if symbol.raw.startswith(enrolment.PREFIX)]
    except SourceError as error:
        raise EnrolmentError(f"{path.name} cannot be read: {error.message}", error.next_step) from error
    if len(found) != 1:
        raise EnrolmentError(
            f"{path.name} shows {len(found) or 'no'} invitations of a hub.", "Take a picture of one whole code."
        )
    return found[0]


def check_time(invitation: Invitation, unix_s: int) -> None:
    """Find out whether an invitation is still good.

    Raises:
        EnrolmentError: It has expired, or this device's clock is wrong.
    """
    if unix_s < invitation.issued_at - _EARLY_S:
        raise EnrolmentError(
            "The invitation lies in the future: this device's clock is wrong.", "Set it: timedatectl set-time ..."
        )
    if unix_s >= invitation.expires_at:
        raise EnrolmentError(
            "The invitation has expired, or this device's clock is ahead.",
            "Check the clock with `date`, or ask the hub for a new one: edge hub invite",
        )


def enrol(
    state: Path, invitation: Invitation, now_ms: Callable[[], int], *, connect: Callable[[str], Transport] | None = None
) -> Enrolled:
    """Enrol this device at the inviting hub.

    Args:
        state: The gate's state folder.
        invitation: A verified invitation.
        now_ms: The clock, Unix milliseconds.
        connect: Opens a way to a hub's address; HTTP by default.

    Raises:
        EnrolmentError: The hub refuses, the invitation is out of time, or the folder cannot be written.
        TransportError: Nobody answered, or somebody else did; nothing has changed.
        TrustError: The root the hub gave cannot be taken.
    """
    check_time(invitation, now_ms() // 1000)
    # Before the invitation is spent: what cannot be written must not use it up.
    with owner.writing(state, KEY_FILE, ENROLMENT_FILE, TOKEN_FILE, TRUST_FOLDER):
        key = make_identity(state)
        with closing((connect or over_http)(invitation.hub_url)) as transport:
            request = EnrolmentRequest(invitation.token, key.verify_key.encode(), now_ms())
            answer = exchange(transport, enrolment.make_request(request, key), invitation.hub_key)
        enrolled, seed = _checked(answer, invitation, key)
        store = TrustStore.init(state / TRUST_FOLDER, answer.root) if answer.root else None
        try:
            # The seed is kept nowhere else: the scanner part ratchets it on and lets the old go.
            save_day_keys(state, (seed,))
            save_enrolment(state, enrolled)
        except OSError as error:
            raise EnrolmentError(
                f"The enrolment cannot be written to {state}: {error.strerror}.",
                "Make room and run the same command again.",
            ) from error
        return _first_trust(store, enrolled, now_ms() // 1000)


def over_http(url: str, *, authorities: str = "") -> Transport:
    """Return the usual way to an inviting hub; an https hub is held to the certificates of a file, if one is named.

    Raises:
        ConfigError: The file holds no certificates.
    """
    return HttpTransport(url, TIMEOUT_S, authorities=authorities)


def _checked(answer: EnrolmentAnswer, invitation: Invitation, key: SigningKey) -> tuple[Enrolment, DayKey]:
    public = key.verify_key.encode()
    if answer.gate != device.gate_id(public):
        raise EnrolmentError("The hub's answer is for another gate.", "Run the same command again.")
    try:
        seed = enrolment.unseal_seed(answer.sealed_seed, key)
    except LedgerError as error:
        raise EnrolmentError(f"The hub's answer cannot be opened here: {error}.", "Update the hub.") from error
    enrolled = Enrolment(
        gate=answer.gate,
        site=answer.site,
        lane=answer.lane,
        region=f"{answer.region:06d}",
        hub_url=invitation.hub_url,
        hub_keys={device.key_id(hub_key).hex(): hub_key for hub_key in answer.hub_keys},
        trust_url=answer.trust_url,
        heartbeat_s=answer.heartbeat_s,
        enrolled_at=answer.at_ms // 1000,
    )
    return enrolled, seed


def _first_trust(store: TrustStore | None, enrolled: Enrolment, unix_s: int) -> Enrolled:
    # The gate fetches it by itself later; a technician wants to know now.
    if store is None:
        return Enrolled(enrolled, 0, "The hub has no trust root yet. Give it one, then enrol this gate again.")
    if not enrolled.trust_url:
        return Enrolled(enrolled, 0, "The hub names no trust publication; bring one: edge trust refresh --from FOLDER")
    try:
        with closing(HttpFetcher(enrolled.trust_url)) as fetcher:
            store.refresh(fetcher, unix_s)
        return Enrolled(enrolled, store.load().versions.timestamp)
    except EdgeError as error:
        # It is enrolled all the same.
        return Enrolled(enrolled, 0, str(error))
