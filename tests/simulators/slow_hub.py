"""`python -m tests.simulators.slow_hub DIR`: the real hub, scaled down until three hundred gates are a crowd to it.

Two posts at once in place of 24, and each takes 100 ms more: 20 posts a second at most, whatever else the machine does.
"""

import sys
import time
from pathlib import Path

from edge.hub.admission import Admission
from edge.hub.declined import Declined
from edge.hub.hub import Hub
from edge.hub.serve import serve

AT_ONCE = 2
EXTRA_S = 0.1


class SlowHub(Hub):
    """A hub on a slow disk."""

    def take(self, body: bytes) -> bytes | Declined:
        """Take in batches, slowly."""
        time.sleep(EXTRA_S)
        return super().take(body)


def main() -> None:
    hub = SlowHub.open(Path(sys.argv[1]))
    hub.admission = Admission(hub.monotonic, at_once=AT_ONCE)
    try:
        serve(hub, ("127.0.0.1", 0), lambda url: print(url, flush=True))
    finally:
        hub.close()


if __name__ == "__main__":
    main()
