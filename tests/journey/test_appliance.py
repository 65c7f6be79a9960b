"""A real Debian 12, made here and booted beside this machine: set-up by a stranger, then a gate under systemd.

The Debian is a folder: its own systemd, accounts and packages, this machine's kernel. Making it takes minutes and a
network, so these are long runs; the services are then tried without any network.
"""

import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST_RUN_S = 180.0
BASE = "ca-certificates,dbus,iproute2,libpam-systemd,sudo,systemd-sysv,udev"
ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
}
PARTS = ("scanner", "web", "sync")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make and boot a Debian"),
]


@dataclass
class Answer:
    """What a command inside answered, with the time it took."""

    code: int
    text: str
    seconds: float


def ask(*command: str | Path) -> Answer:
    """Run a command with the machine's environment inside."""
    start = time.monotonic()
    done = subprocess.run(
        [str(word) for word in command],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    return Answer(done.returncode, done.stdout, time.monotonic() - start)


def until(fact: Callable[[], bool], seconds: float) -> bool:
    """Return whether a fact comes true within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.2)
    return False


class Debian:
    """A Debian in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._container: subprocess.Popen[bytes] | None = None

    def shell(self, script: str, *, network: bool = True) -> Answer:
        """Run a script as root in the folder, without booting it."""
        mounts = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mount -t sysfs -o ro sysfs "$0/sys"'
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *([] if network else ["--net"])]
        return ask(*apart, "bash", "-ec", f'{mounts}; exec chroot "$0" bash -c "$1"', self.root, script)

    def boot(self, *, network: bool) -> None:
        """Start its systemd and wait until it is up."""
        self._container = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--directory", str(self.root), "--boot"),
                # As on a machine of its own: filters on addresses and devices are programs for the kernel.
                *("--capability=all", "--system-call-filter=bpf @clock"),
                *([] if network else ["--private-network"]),
            ],
            env={**ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        up = until(lambda: self.inside("systemctl is-system-running").text.strip() in {"running", "degraded"}, 60)
        assert up, "systemd did not come up"

    def inside(self, script: str) -> Answer:
        """Run a script as root in the booted system."""
        leader = self._leader()
        if leader is None:
            return Answer(1, "not up yet", 0.0)
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        return ask("nsenter", f"--target={leader}", *spaces, "bash", "-c", script)

    def _leader(self) -> int | None:
        assert self._container is not None
        at = self._container.pid
        # systemd-nspawn, its child in the new namespaces, and below that the init of the container.
        for _ in range(2):
            children = Path(f"/proc/{at}/task/{at}/children").read_text().split()
            if not children:
                return None
            at = int(children[0])
            if Path(f"/proc/{at}/comm").read_text().strip() == "systemd":
                return at
        return None

    def halt(self) -> None:
        """Stop the booted system."""
        if self._container is None:
            return
        self.inside("systemctl poweroff")
        try:
            self._container.wait(30)
        except subprocess.TimeoutExpired:
            self._container.kill()
            self._container.wait()
        self._container = None


@pytest.fixture(scope="module")
def debian() -> Iterator[Debian]:
    """A bare Debian 12 with systemd and sudo, that fetches from where this machine fetches, and a clone in it."""
    folder = Path(tempfile.mkdtemp(prefix="edge-debian-"))
    root = folder / "root"
    made = ask("mmdebstrap", "--variant=minbase", f"--include={BASE}", "bookworm", root)
    assert made.code == 0, made.text
    for kept in ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", kept).exists():
            shutil.copy(Path("/", kept), root / kept)
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", ROOT, root / "root/edge"], check=True)
    system = Debian(root)
    yield system
    system.halt()
    shutil.rmtree(folder)


def test_a_stranger_is_ready_within_three_minutes(debian: Debian) -> None:
    """One command on a machine without Python makes everything ready; the second run costs under a second."""
    first = debian.shell("cd ~/edge && ./firmware-config/setup.sh edge --version")
    second = debian.shell("cd ~/edge && ./firmware-config/setup.sh edge --version")

    assert first.code == 0, first.text
    assert first.seconds < FIRST_RUN_S
    assert second.text.startswith("edge, version")
    assert second.seconds < 2.0  # the start of `edge` itself and of the folder included


def test_once_ready_it_needs_no_network(debian: Debian) -> None:
    """The libraries load and the command runs with every network gone."""
    said = debian.shell(
        "cd ~/edge && ./firmware-config/setup.sh python -c 'import edge, cv2, zxingcpp, pyzbar.pyzbar; print(1)'",
        network=False,
    )

    assert (said.code, said.text) == (0, "1\n")


def test_a_user_with_sudo_gets_the_missing_packages(debian: Debian) -> None:
    """An ordinary user's set-up says that it uses sudo, and ends in the user's own environment."""
    prepared = debian.shell(
        "useradd --create-home stranger && echo 'stranger ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/stranger"
        " && cp -r ~/edge /home/stranger/ && rm -rf /home/stranger/edge/.venv && chown -R stranger: /home/stranger"
        " && apt-get -qq remove --yes libzbar0"
    )
    assert prepared.code == 0, prepared.text

    said = debian.shell("su stranger -c 'cd ~/edge && ./firmware-config/setup.sh edge --version'")

    assert said.code == 0, said.text
    assert "installing Debian packages with sudo: libzbar0" in said.text
    assert debian.shell("stat --format %U /home/stranger/edge/.venv").text == "stranger\n"


def test_a_user_without_sudo_is_told_the_command(debian: Debian) -> None:
    """Where a package is missing and sudo refuses, one sentence holds the command for somebody who may."""
    debian.shell("useradd --create-home guest && cp -r ~/edge /home/guest/ && chown -R guest: /home/guest")
    debian.shell("apt-get -qq remove --yes libzbar0")

    said = debian.shell("su guest -c 'cd ~/edge && ./firmware-config/setup.sh edge --version'")

    assert said.code == 1
    assert said.text.endswith("apt-get install --yes --no-install-recommends libzbar0\n")


@pytest.fixture(scope="module")
def gate(debian: Debian) -> Debian:
    """The same Debian, turned into a gate that looks at a folder of pictures, booted again without any network."""
    debian.boot(network=True)
    installed = debian.inside("cd ~/edge && ./firmware-config/install.sh --no-start")
    assert installed.code == 0, installed.text
    debian.halt()
    pictures = debian.root / "srv/pictures"
    pictures.mkdir(exist_ok=True)
    settings = debian.root / "etc/edge/gate.toml"
    text = settings.read_text().replace('"camera:0"', '"folder:/srv/pictures"') + "\n[sync]\npush_after_s = 1.0\n"
    settings.write_text(text)
    debian.boot(network=False)
    return debian


def states(gate: Debian) -> dict[str, str]:
    """Return what systemd says of the three parts."""
    said = gate.inside("systemctl is-active " + " ".join(f"edge-{part}" for part in PARTS)).text.split()
    return dict(zip(PARTS, said, strict=True))


def restarts(gate: Debian) -> list[str]:
    """Return how often systemd had to start each of the three parts again."""
    return gate.inside("systemctl show --property NRestarts --value edge-scanner edge-web edge-sync").text.split()


def test_the_three_services_start_at_boot_without_a_network(gate: Debian) -> None:
    """Scanner, pages and sync run and stay, each under its own locks, with no restart in between."""
    running = dict.fromkeys(PARTS, "active")
    assert until(lambda: states(gate) == running, 20), gate.inside("journalctl -b -u 'edge-*' -o cat | tail -n 40").text
    time.sleep(5)  # a part that dies young is seen

    assert states(gate) == running
    assert restarts(gate) == ["0", "0", "0"]


def test_the_page_answers_on_loopback(gate: Debian) -> None:
    """The gate's page is there for the gate's own browser."""
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=5).status)"
    answers = functools.partial(gate.inside, f'/opt/edge/venv/bin/python -c "{fetch}"')

    assert until(lambda: answers().text == "200\n", 20), answers().text


def test_the_state_belongs_to_the_account_alone(gate: Debian) -> None:
    """Log and socket are in the state folder, and no other account may look."""
    assert until((gate.root / "var/lib/edge/gate.sock").exists, 20)

    said = gate.inside(
        "stat --format '%U %a' /var/lib/edge; ls /var/lib/edge; su nobody -s /bin/sh -c 'ls /var/lib/edge'"
    )

    assert said.text.startswith("edge 750\n")
    assert "scans.db" in said.text
    assert "Permission denied" in said.text


def test_each_part_has_only_what_it_needs(gate: Debian) -> None:
    """The scanner's network is a loopback nobody else is on; no part has a capability or a way to get one."""
    links = {}
    for part in PARTS:
        pid = gate.inside(f"systemctl show --property MainPID --value edge-{part}").text.strip()
        shown = gate.inside(f"nsenter --target {pid} --net ip -json link")
        links[part] = {link["ifname"]: link["operstate"] for link in json.loads(shown.text)}
        lists = gate.inside(f"grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status").text.split()
        assert lists == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]

    assert list(links["scanner"]) == ["lo"]


CENTRAL = """
set -eo pipefail; cd /srv; export PATH=/opt/edge/venv/bin:$PATH
edge authority init country; edge authority add-issuer country --profile all
edge hub init hub --url http://127.0.0.1:8091 --trust-url http://127.0.0.1:8092 --region 610100 \
  --root country/publication/metadata/1.root.json --json >hub.json
edge authority add-hub country --key "$(python -c 'import json; print(json.load(open("hub.json"))["key"])')"
edge authority publish country
edge authority issue country --issuer 6101 --surname 张 --id-tail 3416 --png pictures/pass.png
edge hub invite hub --site 北站 --lane 3 --region 610100 --out invitation.txt
chmod 644 pictures/pass.png invitation.txt
for end in "hub serve hub --port 8091" "authority serve country --port 8092"; do
  systemd-run --quiet --working-directory=/srv /opt/edge/venv/bin/edge $end
done
"""
ENROL = """
cd /
for try in $(seq 20); do
  (exec 3<>/dev/tcp/127.0.0.1/8091 4<>/dev/tcp/127.0.0.1/8092) 2>/dev/null && break
  sleep 0.5
done
sudo -u edge edge provision init && sudo -u edge edge provision enroll --yes /srv/invitation.txt
"""


def test_an_enrolled_gate_accepts_a_pass_and_the_hub_has_the_scan(gate: Debian) -> None:
    """Under all its locks the gate does the whole job: picture, signature, log, hub."""
    central = gate.inside(CENTRAL)
    assert central.code == 0, central.text
    enrolled = gate.inside(ENROL)
    assert enrolled.code == 0, enrolled.text
    gate.inside("systemctl restart edge-gate.target; sleep 3; systemctl restart edge-scanner")
    pull = functools.partial(gate.inside, "/opt/edge/venv/bin/edge hub pull --dir /srv/hub --after 0")

    arrived = until(lambda: '"accept"' in pull().text, 40)

    trouble = gate.inside(
        "edge scans list --state /var/lib/edge; journalctl -b -t edge-scanner -t edge-sync -n 30"
    ).text
    assert arrived, f"{pull().text}\n{trouble}"


def test_a_killed_part_is_back_within_seconds(gate: Debian) -> None:
    """Each part that dies is started again, once."""
    gate.inside("systemctl reset-failed; systemctl restart edge-gate.target")
    assert until(lambda: states(gate) == dict.fromkeys(PARTS, "active"), 20), states(gate)
    for part in PARTS:
        gate.inside(f"systemctl kill --signal KILL edge-{part}")

    assert until(lambda: restarts(gate) == ["1", "1", "1"], 20), restarts(gate)
    assert until(lambda: states(gate) == dict.fromkeys(PARTS, "active"), 20), states(gate)


def test_installing_again_changes_nothing(gate: Debian) -> None:
    """A second installation without a network keeps settings and release and restarts nothing."""
    before = gate.inside("systemctl show --property MainPID --value edge-scanner; readlink /opt/edge/venv").text

    again = gate.inside("cd ~/edge && ./firmware-config/install.sh")

    assert again.code == 0, again.text
    assert "!!" not in again.text
    assert "/etc/edge/gate.toml is kept as it is" in again.text
    assert gate.inside("systemctl show --property MainPID --value edge-scanner; readlink /opt/edge/venv").text == before
    assert "folder:/srv/pictures" in (gate.root / "etc/edge/gate.toml").read_text()
