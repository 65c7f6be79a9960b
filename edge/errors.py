"""Every exception of the project, in one tree; branches are named by who is at fault.

    EdgeError
    ├── EncodingRefused      bytes that are not the one strict encoding (CBOR, COSE, base45, zstd)
    ├── CredentialError      what was shown to the camera (never leaves `policy.examine`: it becomes a verdict)
    ├── TrustError           what the authority, a mirror or a stick gave us
    │   ├── TrustMissing         there is nothing to trust yet
    │   ├── TrustDamaged         what we keep does not verify
    │   ├── TrustRefused         what was offered does not verify; what we keep stays in force
    │   │   ├── TrustExpired         it verifies and has run out
    │   │   ├── TrustOlder           it is older than what this device has seen
    │   │   └── ListRefused          one list of it is not of its form or does not follow; its state of before stays
    │   └── PublicationError     the authority refuses to publish this
    ├── LedgerError          the scan log, its batches and receipts
    │   ├── LogUnwritable        the entry could not be made durable: the gate stops admitting
    │   ├── LogDamaged           the database or its chain does not verify
    │   ├── BatchRefused         a batch that does not follow, is forged or unreadable
    │   └── ReceiptRefused       an answer that is not a receipt of our hub for our log
    ├── TransportError       the far side, or the way to it
    │   ├── Unreachable          nobody answered
    │   └── AnswerRefused        somebody answered something else
    └── SetupError           this machine: what a technician can put right
        ├── ConfigError          gate.toml or an option
        ├── SourceError          a camera, stream, folder or scanner
        ├── LibraryMissing       a system library
        ├── PortInUse            somebody else listens there
        ├── FolderInUse          another process is at work in that folder
        ├── EnrolmentError       the invitation or the enrolment
        │   └── IdentityBroken       the gate's key and enrolment, which belong together
        └── WalletError          a holder's key, pass or digits

It leaves the wording of verdicts to `edge.words`: hostile input is a result, not an exception.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.model.verdict import Reason


class EdgeError(Exception):
    """Something went wrong that a person can act on.

    Args:
        message: What happened, one sentence, naming the file or peer, with nothing personal in it.
        next_step: What to do about it, one sentence or one command; empty where the message says it.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".rstrip()


class EncodingRefused(EdgeError):  # noqa: N818
    """Bytes are not the one strict encoding asked for."""


class CredentialError(EdgeError):
    """The presented bytes are not a well-formed credential of this format.

    Args:
        reason: The stable code the verdict will carry.
        message: What the parser met, without any byte of the input.
    """

    def __init__(self, reason: "Reason", message: str = "") -> None:
        super().__init__(message or str(reason))
        self.reason = reason


class TrustError(EdgeError):
    """Trust data is missing, damaged or refused."""


class TrustMissing(TrustError):  # noqa: N818
    """There is no trust data on this device yet."""


class TrustDamaged(TrustError):  # noqa: N818
    """The cached trust data does not verify."""


class TrustRefused(TrustError):  # noqa: N818
    """An offered update does not verify; the previous trust stays in force."""


class TrustExpired(TrustRefused):
    """An offered update is genuine and has run out."""


class TrustOlder(TrustRefused):
    """An offered update is older than what this device has seen: an old stick, or somebody who replays one."""


class ListRefused(TrustRefused):
    """A list, or a change of one, is not of its form, does not follow, or changes more than its signers may."""


class PublicationError(TrustError):
    """The authority refuses to publish or issue what it was given."""


class LedgerError(EdgeError):
    """The scan log, a batch or a receipt does not hold."""


class LogUnwritable(LedgerError):  # noqa: N818
    """The entry could not be made durable."""


class LogDamaged(LedgerError):  # noqa: N818
    """The scan log's database or chain does not verify."""


class BatchRefused(LedgerError):  # noqa: N818
    """A batch does not verify or does not follow.

    Args:
        kind: Stable word for the case: `malformed`, `forged`, `fork`, `gap`, `rollback`, `unknown_gate`, `version`.
        message: What was met.
        next_step: What the operator should do.
    """

    def __init__(self, kind: str, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.kind = kind


class ReceiptRefused(LedgerError):  # noqa: N818
    """An answer is not a receipt of our hub for our log.

    Args:
        message: What was met.
        next_step: What to do.
        kind: Stable word: `forged`, `other_gate`, `other_log`, `other_head`, `short`, `old`.
    """

    def __init__(self, message: str, next_step: str = "", *, kind: str = "forged") -> None:
        super().__init__(message, next_step)
        self.kind = kind


class TransportError(EdgeError):
    """The far side or the way to it failed; nothing local changes."""


class Unreachable(TransportError):  # noqa: N818
    """Nobody answered."""


class AnswerRefused(TransportError):  # noqa: N818
    """Somebody answered something that is not an answer of the protocol.

    Args:
        message: What was met.
        next_step: What to do.
        status: The HTTP status, 0 where there was none.
        retry_after_s: The slot the hub gave, seconds from now, or None.
    """

    def __init__(
        self, message: str, next_step: str = "", *, status: int = 0, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, next_step)
        self.status = status
        self.retry_after_s = retry_after_s


class SetupError(EdgeError):
    """Something on this machine that a technician can put right."""


class ConfigError(SetupError):
    """The configuration file or an option is wrong."""


class SourceError(SetupError):
    """A frame source cannot be opened or was lost.

    Args:
        message: What was met.
        next_step: What the technician should do.
        cause: Stable word for the case: `missing`, `denied`, `busy`, `lost`, `stalled`, `unreachable`, `not_a_stream`,
            `not_a_picture`, `no_file`, `option`, `child_lost`, `failed`.
    """

    def __init__(self, message: str, next_step: str = "", *, cause: str = "lost") -> None:
        super().__init__(message, next_step)
        self.cause = cause


class LibraryMissing(SetupError):  # noqa: N818
    """A system library is not installed."""


class PortInUse(SetupError):  # noqa: N818
    """The address is taken."""


class FolderInUse(SetupError):  # noqa: N818
    """Another process is at work in the folder; one at a time may be."""


class EnrolmentError(SetupError):
    """The invitation or the enrolment does not hold."""


class IdentityBroken(EnrolmentError):  # noqa: N818
    """The gate's key and its enrolment do not make one gate.

    Args:
        message: What was met, naming the files.
        next_step: What the technician should do.
        cause: Stable word for the case: `enrolment` (the file is damaged), `key` (missing, damaged or not private),
            `other_key` (it is not the key that was enrolled).
        ids: Values the sentence on the page mentions: the two gate ids in short form.
    """

    def __init__(self, message: str, next_step: str, *, cause: str, ids: "Mapping[str, str] | None" = None) -> None:
        super().__init__(message, next_step)
        self.cause = cause
        self.ids = dict(ids or {})


class WalletError(SetupError):
    """A holder's folder, pass or digits are not what they must be."""
