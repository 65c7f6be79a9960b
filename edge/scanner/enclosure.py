"""The walls around a process that unpacks what strangers made: how it is started, what it may take, what it shares.

Frames lie in an anonymous file that parent and child see (no name to leak, gone when both are gone); words go through a
socket, one message a packet. What is unpacked is left to the child's own module, deciding that it hangs to its parent.
"""

import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable


def shared_slot(name: str, size: int) -> tuple[int, mmap.mmap]:
    """Return a new slot of so many bytes, as its file number and as memory. Only pages that were written take memory.

    Args:
        name: Shown in the list of a process's files.
        size: Bytes.
    """
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, size)
    # A child taken over by a picture must not be able to shorten the file: our next touch of it would be a SIGBUS.
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return file, mmap.mmap(file, size)


def start_child(
    module: str, slot: int, arguments: Iterable[str], environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a module as a child: its first arguments are the file numbers of its socket and of the slot.

    Args:
        module: Run as `python -m`.
        slot: File number of the slot.
        arguments: What follows them; never a secret, for every process of the machine reads them.
        environment: Its variables.

    Raises:
        OSError: There is no memory or no process left for it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    numbers = (str(theirs.fileno()), str(slot))
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *numbers, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libjpeg, zbar and FFmpeg chat about every damaged picture
            pass_fds=(theirs.fileno(), slot),
            env=environment,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return child, ours


def small_environment() -> dict[str, str]:
    """Return the environment of a child that works in one thread and holds little memory back."""
    return {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        # A frame's buffer stays for the next one; what a rare huge picture took goes back at once.
        "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
        "OPENCV_LOG_LEVEL": "OFF",
    }


def confine(max_bytes: int) -> None:
    """Build the walls around this process, which unpacks pictures: memory, core files, signals."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold people's codes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # a picture of a few bytes may unpack to gigabytes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gate, which then closes the socket
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
