"""The settings of a gate, as `gate.toml` (`schema = 1`) gives them.

Each field's `doc` is the one text about it: `edge gate settings` prints it and a test holds the table in
docs/technician.md to it. Reading the file is left to `edge.gate.config`.
"""

from dataclasses import Field, dataclass, field
from typing import Any


def _key(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


def doc_of(key: "Field[Any]") -> str:
    """Return the sentence that documents a settings field."""
    return str(key.metadata["doc"])


@dataclass(frozen=True, slots=True)
class PlaceSettings:
    """Where the gate stands. Enrolment fills site and lane; what stands in the file wins."""

    site: str = _key("", "Name of the site as staff know it, shown on the page. Empty: as enrolled.")
    lane: str = _key("", "Lane or gate number at the site. Empty: as enrolled.")
    region: str = _key("000000", "GB/T 2260 code of the place, six digits; rows of the matrix are chosen by it.")
    direction: str = _key("entry", "`entry` or `exit`, shown on the page.")


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """Frames to symbols."""

    sources: tuple[str, ...] = _key(
        ("camera:0",),
        "Frame sources: `camera:0`, `picamera:0`, `url:http://...` or `rtsp://...`, `hid:DEVICE`, `serial:DEVICE`, "
        "`stdin:-`, `video:FILE`, `folder:DIR` (each picture once, new ones as they come).",
    )
    width: int = _key(1280, "Frame width asked of a camera, pixels.")
    height: int = _key(720, "Frame height asked of a camera, pixels.")
    fps: int = _key(15, "Frames a second asked of a camera, and taken at most of any source.")
    mjpeg: bool = _key(True, "Ask a camera for JPEG: less on the USB cable, and no cost where it is passed on.")
    exposure_us: int = _key(0, "Exposure of a camera, microseconds; 0 leaves it to the camera.")
    focus: int = _key(
        -1,
        "Focus of a camera: V4L2's `focus_absolute`, tenths of a dioptre for `picamera:`; -1 lets it focus by itself.",
    )
    same_code_s: float = _key(3.0, "A code seen again within this time is the same presentation, seconds.")
    watchdog_s: float = _key(2.0, "A decoder that is silent this long on one frame is killed and restarted.")
    retry_ms: int = _key(
        25, "On a frame that zxing-cpp could not read, retries begin within this time, milliseconds; 0: none."
    )
    second_engine_every: int = _key(
        5, "pyzbar reads every n-th frame in which a code may be and none was read; 0 switches it off."
    )
    datamatrix: bool = _key(False, "Read DataMatrix, too, in frames without a QR code: only French 2D-DOC needs it.")
    code_keys_file: str = _key(
        "", "JWK Set (mode 0600) of the keys that open encrypted identity codes, read at start. Empty: none are opened."
    )


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Where trust data is refreshed from. Enrolment fills the address; what stands in the file wins."""

    url: str = _key("", "Address of the authority's publication or a mirror. Empty: as enrolled.")
    refresh_s: int = _key(900, "Seconds between refreshes while the mirror answers.")
    ca_file: str = _key("", "Certificates (PEM) that an https mirror is held to. Empty: those of the system.")
    proxy: str = _key("", "HTTP proxy on the way to the mirror, `http://HOST:PORT`. Empty: none.")
    stick: str = _key("/media/edge", "Where an update stick is mounted; what is put in there is taken. Empty: nowhere.")


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How scans reach the hub. Enrolment fills the address; what stands in the file wins."""

    hub: str = _key("", "Address of the hub. Empty: as enrolled.")
    push_after_s: float = _key(300.0, "Waiting entries are pushed at the latest after this time, seconds.")
    push_at: int = _key(200, "Waiting entries are pushed as soon as there are this many.")
    timeout_s: float = _key(10.0, "An exchange with the hub that takes longer has failed, seconds.")
    ca_file: str = _key("", "Certificates (PEM) that an https hub is held to. Empty: those of the system.")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The gate's own pages."""

    host: str = _key("127.0.0.1", "Address the pages are served on. Loopback unless you say otherwise.")
    port: int = _key(8080, "Port the pages are served on.")
    language: str = _key("zh", "Language a page starts in: `zh` or `en`.")
    sound: str = _key("neutral", "`off`, `neutral` (one sound for all) or `verdict` (bystanders can tell).")
    slips: bool = _key(False, "Show the signed slip beside each referral and refusal unasked; otherwise S does.")


@dataclass(frozen=True, slots=True)
class StaffSettings:
    """What staff may do."""

    pin_file: str = _key("", "File with the hash that `edge provision pin` wrote. Empty: no override.")


@dataclass(frozen=True, slots=True)
class Settings:
    """One gate.

    Attributes:
        schema: Version of the file's form, 1.
        state: Folder of the key, scan log, trust cache and enrolment.
    """

    schema: int = _key(1, "Version of this file's form.")
    state: str = _key("/var/lib/edge", "Folder of the gate's key, scan log, trust cache and enrolment.")
    place: PlaceSettings = _key(PlaceSettings(), "Where the gate stands.")
    scanner: ScannerSettings = _key(ScannerSettings(), "Frames to symbols.")
    trust: TrustSettings = _key(TrustSettings(), "Where trust data is refreshed from.")
    sync: SyncSettings = _key(SyncSettings(), "How scans reach the hub.")
    web: WebSettings = _key(WebSettings(), "The gate's own pages.")
    staff: StaffSettings = _key(StaffSettings(), "What staff may do.")
