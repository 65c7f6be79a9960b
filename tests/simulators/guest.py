"""A machine whose disk keeps a log of every write and flush: Debian's cloud kernel in QEMU, booted into one command.

The guest has no Debian of its own. Its first file system holds what the same command looked at when it ran here, at the
same paths: the interpreter, its libraries, the project. What it writes goes to a virtio disk with a volatile cache, so
that its kernel sends every flush; QEMU's `blklogwrites` writes all of it down.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DISK = "/guest/disk"
TIMEOUT_S = 900
_LOADER = Path("/lib64/ld-linux-x86-64.so.2")
_NOT_FILES = ("/proc", "/sys", "/dev", "/run")
_NAMED = re.compile(r'^\d+ +\w+\((?:\w+, )?"([^"\\]+)"', re.MULTILINE)
_INIT = """#!/guest/busybox sh
export PATH=/guest
/guest/busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
/guest/busybox mount -t proc proc /proc
/guest/busybox mount -t sysfs sys /sys
for module in {modules}; do /guest/busybox insmod /guest/$module; done
[ ! -b /dev/vda ] || /guest/busybox mount -t ext4 /dev/vda {disk}
cd {repository}
{command} >/guest/said
echo "ended with $? after $(/guest/busybox tail -n 1 /guest/said)"
/guest/busybox poweroff -f -n
"""


def missing() -> list[str]:
    """Name what this machine lacks to run a guest; `./firmware-config/setup.sh pytest -m qemu` installs packages."""
    lacks = [tool for tool in ("qemu-system-x86_64", "busybox", "cpio", "strace") if shutil.which(tool) is None]
    lacks += [] if _kernels() else ["a kernel linux-image-cloud-amd64 in /boot"]
    return lacks + ([] if platform.machine() == "x86_64" else ["an x86-64 processor"])


def _kernels() -> list[Path]:
    return sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))


class Guest:
    """A guest made for one command, run as often as wanted.

    Args:
        folder: Where its first file system is made.
        rehearsal: The command as it runs here, to see what it looks at; it must look at all that the guest will.
        without: A folder that the rehearsal writes to and the guest does not need.
        drivers: Kernel modules of its devices.
    """

    def __init__(
        self, folder: Path, rehearsal: Sequence[str], *, without: Path, drivers: Sequence[str] = ("virtio_blk",)
    ) -> None:
        self._folder = folder
        self._kernel = _kernels()[-1]
        self._archive = _archive(Path("/"), _closed(_looked_at(folder, rehearsal, without)))
        modules = Path("/lib/modules") / self._kernel.name.removeprefix("vmlinuz-")
        self._modules = _modules(modules, ("virtio_pci", *drivers))

    def run(self, command: Sequence[str], disk: Path, log: Path) -> str:
        """Boot, mount the ext4 of `disk` at `DISK`, run one command there, and power off without a sync.

        Args:
            command: What to run, in the repository.
            disk: The disk, raw; it is written to.
            log: Where everything sent to it is written down, for `block_log.read`.

        Returns:
            The last line that the command wrote.

        Raises:
            OSError: The guest did not come so far, or the command failed; with the end of what the guest said.
        """
        log.write_bytes(b"")
        qemu = [*self._qemu(command), *_logged(disk, log)]
        ran = subprocess.run(qemu, capture_output=True, timeout=TIMEOUT_S, check=False)
        said = ran.stdout.decode(errors="replace")
        told = re.search(r"ended with 0 after (.*?)\r?$", said, re.MULTILINE)
        if told is None:
            raise OSError(f"the guest failed:\n{said[-3000:]}\n{ran.stderr.decode(errors='replace')[-1000:]}")
        return told[1]

    def start(self, command: Sequence[str], *devices: str) -> subprocess.Popen[bytes]:
        """Boot without a disk into one command and return at once; its output is what the guest's serial line says.

        Args:
            command: What to run, in the repository.
            devices: Arguments of QEMU for what the guest is to have.
        """
        return subprocess.Popen([*self._qemu(command), *devices], stdout=subprocess.PIPE)

    def _own(self, command: Sequence[str]) -> bytes:
        root = self._folder / "root"
        own = root / "guest"
        (own / "disk").mkdir(parents=True, exist_ok=True)
        for name in ("proc", "sys", "tmp"):
            (root / name).mkdir(exist_ok=True)
        shutil.copy(shutil.which("busybox") or "", own / "busybox")
        for module in self._modules:
            shutil.copy(module, own / module.name)
        names = " ".join(module.name for module in self._modules)
        text = _INIT.format(modules=names, disk=DISK, repository=REPOSITORY, command=shlex.join(command))
        (own / "init").write_text(text)
        (own / "init").chmod(0o755)
        return _archive(root, sorted(root.rglob("*")))

    def _qemu(self, command: Sequence[str]) -> list[str]:
        first = self._folder / "initramfs"
        first.write_bytes(self._archive + self._own(command))
        return [
            *("nice", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            # KVM would save a second or two and does not start everywhere, least of all within another guest.
            *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512", "-serial", "stdio"),
            *("-kernel", str(self._kernel), "-initrd", str(first)),
            *("-append", "console=ttyS0 quiet panic=-1 rdinit=/guest/init"),
        ]


def _logged(disk: Path, log: Path) -> list[str]:
    # The host's own syncs would only cost time: nobody cuts the host's power.
    kept = {"driver": "file", "filename": str(disk), "cache": {"no-flush": True}}
    written = {"driver": "file", "filename": str(log), "cache": {"no-flush": True}}
    node = {"driver": "blklogwrites", "node-name": "disk", "file": kept, "log": written}
    return [
        *("-blockdev", json.dumps(node | {"log-super-update-interval": 1})),
        *("-device", "virtio-blk-pci,drive=disk,num-queues=1,write-cache=on"),
    ]


def _looked_at(folder: Path, command: Sequence[str], without: Path) -> set[Path]:
    """Return every file and folder that a command names in a system call and that is there."""
    trace = folder / "trace"
    strace = ("strace", "-f", "-qq", "-e", "trace=%file", "-e", "signal=none", "-s", "4096", "-o", str(trace))
    subprocess.run([*strace, *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S, check=True)
    named = _NAMED.findall(trace.read_text(errors="replace"))
    paths = {Path(os.path.normpath(REPOSITORY / name)) for name in named} | {_LOADER, Path(sys.executable)}
    return {
        path
        for path in paths
        if os.path.lexists(path) and not path.is_relative_to(without) and not str(path).startswith(_NOT_FILES)
    }


def _closed(paths: set[Path]) -> list[Path]:
    """Return them with every folder and every link on the way to them, parents first."""
    return sorted({step for path in paths for step in _way(path)} - {Path("/")})


def _way(path: Path) -> Iterator[Path]:
    at = Path("/")
    for part in path.parts[1:]:
        at = at / part
        yield at
        if at.is_symlink():
            yield from _way(Path(os.path.normpath(at.parent / at.readlink())))
            at = at.resolve()


def _modules(folder: Path, drivers: Sequence[str]) -> list[Path]:
    """Return kernel modules, each behind those it needs."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        module, _, others = line.partition(":")
        needs[Path(module).name.partition(".")[0]] = [module, *others.split()]
    wanted = [name for module in drivers for name in reversed(needs.get(module, []))]
    return [folder / name for name in dict.fromkeys(wanted)]


def _archive(root: Path, paths: Sequence[Path]) -> bytes:
    # Linux, Documentation/driver-api/early-userspace/buffer-format.rst: "newc" archives, one behind the other.
    names = b"\0".join(os.fsencode(path.relative_to(root)) for path in paths) + b"\0"
    command = ("cpio", "--quiet", "--null", "--create", "--format=newc")
    return subprocess.run(command, cwd=root, input=names, capture_output=True, timeout=TIMEOUT_S, check=True).stdout
