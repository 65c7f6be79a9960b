"""The three parts of a gate by name; each imports what it needs only when it runs."""

import threading
from pathlib import Path

from edge.gate.claim import PARTS, claim_part
from edge.gate.clock import now_ms
from edge.model.settings import Settings


def run_part(name: str, settings: Settings, stop: threading.Event) -> None:
    """Run one part until `stop` is set.

    Raises:
        FolderInUse: It runs already on this state folder.
        EdgeError: It cannot start; the message names what to do.
        ValueError: There is no such part.
    """
    if name not in PARTS:
        raise ValueError(f"there is no part {name}")
    # Held until the process ends: a decoder or thread that is late to end still works in the folder.
    claim_part(Path(settings.state), name)
    if name == "scanner":
        from edge.scanner.scanner import Scanner  # noqa: PLC0415  # a part's libraries are its own

        scanner = Scanner(settings.scanner)
        scanner.start()
        try:
            # The camera opens while the rest is still being imported.
            from edge.gate.scanner_part import run  # noqa: PLC0415

            run(settings, scanner, stop)
        finally:
            scanner.close()
    elif name == "web":
        from edge.kiosk.serve import serve  # noqa: PLC0415

        # It stops by the signals that set `stop`: waitress wants its own way out.
        serve(settings, Path(settings.state))
    else:
        from edge.sync.part import run as run_sync  # noqa: PLC0415

        run_sync(settings, stop, now_ms=now_ms)
