"""What the gate's services may do, and what is laid where: read from the files that are installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.gate.config import load_settings
from edge.model.settings import Settings

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware-config"
UNITS = FIRMWARE / "systemd"
PARTS = ("scanner", "web", "sync")
COMMON = "# What no part may do (the same in every edge unit)."
EXPOSURE_AT_MOST = 1.5


def text_of(part: str) -> str:
    """Return the unit file of a part."""
    return (UNITS / f"edge-{part}.service").read_text()


def keys_of(part: str) -> dict[str, list[str]]:
    """Return every key of a unit with its values in their order."""
    found: dict[str, list[str]] = {}
    for line in text_of(part).splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("part", PARTS)
def test_part_is_hardly_exposed(part: str) -> None:
    """Systemd's own measure puts every part at 1.5 of 10 or below."""
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(UNITS / f"edge-{part}.service")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    exposure = re.search(r"Overall exposure level for edge-\w+\.service: ([0-9.]+)", said)

    assert exposure is not None, said
    assert float(exposure[1]) <= EXPOSURE_AT_MOST, said


def test_units_are_well_formed(tmp_path: Path) -> None:
    """Systemd finds no fault in any unit once the program is in its place."""
    program = tmp_path / "edge"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.target")]:
        text = unit.read_text()
        for laid in ("/opt/edge/venv/bin/edge", "/usr/local/lib/edge/kiosk.sh"):
            text = text.replace(laid, str(program))
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, copies)], capture_output=True, text=True, check=False
    )

    assert len(copies) == 5
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_runs_its_own_part_and_never_gives_up() -> None:
    """Each unit starts one part with the one settings file, for ever, as the same account in the same state folder."""
    for part in PARTS:
        keys = keys_of(part)
        program = f"/opt/edge/venv/bin/edge gate run --part {part} --config /etc/edge/gate.toml"
        assert keys["ExecStart"] == [program]
        assert keys["Restart"] == ["always"]
        assert keys["StartLimitIntervalSec"] == ["0"]
        assert keys["User"] == ["edge"]
        assert keys["StateDirectory"] == ["edge"]
        assert "Requires" not in keys


def test_what_no_part_may_do_is_the_same_for_all() -> None:
    """The common block is one text, so that a hole closed in one unit is closed in every one."""
    blocks = {text_of(part).split(COMMON)[1].split("\n\n")[0] for part in PARTS}

    assert len(blocks) == 1


def test_only_sync_reaches_a_network() -> None:
    """The scanner has no network and the pages have loopback; what sync may reach is not narrowed."""
    scanner, web, sync = map(keys_of, PARTS)

    assert scanner["PrivateNetwork"] == ["yes"]
    assert scanner["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert web["IPAddressDeny"] == ["any"]
    assert web["IPAddressAllow"] == ["localhost"]
    assert "IPAddressDeny" not in sync
    assert "PrivateNetwork" not in sync


def test_only_the_scanner_has_devices_and_only_those_that_read_codes() -> None:
    """Cameras and hand scanners are the scanner's, input devices to read only; no other part sees any hardware."""
    scanner, web, sync = map(keys_of, PARTS)
    cameras = ["char-video4linux rw", "char-media rw", "char-dma_heap rw"]

    assert scanner["DeviceAllow"] == [*cameras, "char-input r", "char-ttyACM rw", "char-ttyUSB rw"]
    assert scanner["SupplementaryGroups"] == ["video"]
    assert scanner["DevicePolicy"] == ["closed"]
    for other in (web, sync):
        assert other["PrivateDevices"] == ["yes"]
        assert "DeviceAllow" not in other
        assert "SupplementaryGroups" not in other


def test_a_device_plugged_in_later_is_open_to_the_scanner() -> None:
    """Every device class of a module is loaded before the unit's list of devices is drawn up."""
    keys = keys_of("scanner")

    assert keys["Wants"] == keys["After"]
    assert set(keys["Wants"][0].split()) == {f"modprobe@{one}.service" for one in ("videodev", "cdc_acm", "usbserial")}


@pytest.mark.parametrize("rules", ["camera", "scanner"])
def test_udev_rules_are_pairs_that_udev_knows(rules: str) -> None:
    """Every line is matches and assignments in udev's own form (udev(7)), and every jump has its label."""
    lines = [line for line in (FIRMWARE / f"udev/70-edge-{rules}.rules").read_text().splitlines() if line]
    lines = [line for line in lines if not line.startswith("#")]
    key = r"(ACTION|SUBSYSTEM|KERNEL|ATTR\{\w+\}|ENV\{\w+\}|GROUP|MODE|SYMLINK|GOTO|LABEL)"

    assert all(re.fullmatch(rf'{key}(==|!=|=|\+=)"[^"]+"(, {key}(==|!=|=|\+=)"[^"]+")*', line) for line in lines)
    assert set(re.findall(r'GOTO="(\w+)"', "\n".join(lines))) == set(re.findall(r'LABEL="(\w+)"', "\n".join(lines)))


def test_hand_scanners_are_the_gates_and_keyboards_are_not() -> None:
    """Nothing is given to the gate before a line has said that it is a scanner; no modem probe, no other reader."""
    text = (FIRMWARE / "udev/70-edge-scanner.rules").read_text()
    before, after = text.split('ENV{EDGE_SCANNER}!="1", GOTO="edge_scanner_end"')

    assert "GROUP" not in before
    assert re.findall(r'GROUP="(\w+)", MODE="(\d+)"', after) == [("edge", "0640"), ("edge", "0660")]
    assert 'ENV{LIBINPUT_IGNORE_DEVICE}="1"' in after
    assert 'ENV{ID_MM_DEVICE_IGNORE}="1"' in after


def test_scanner_may_ask_whether_the_clock_is_synchronised() -> None:
    """The call that tells a synchronised clock is allowed after the list that takes it away."""
    filters = keys_of("scanner")["SystemCallFilter"]

    assert filters[-1] == "adjtimex clock_adjtime"
    assert filters.index("~@privileged @resources") < len(filters) - 1


def test_scanner_is_told_which_boot_it_is() -> None:
    """It does not see /proc/sys, where that stands; %b is the boot's id (systemd.unit(5), specifiers)."""
    unit = (UNITS / "edge-scanner.service").read_text()

    assert "ProcSubset=pid" in unit
    assert "Environment=EDGE_BOOT_ID=%b" in unit


def test_no_unit_waits_for_a_network_or_the_time() -> None:
    """A gate that waits for either never shows a screen offline."""
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.target")]:
        orders = re.findall(r"^(?:After|Wants|Requires|BindsTo)=(.*)$", unit.read_text(), re.MULTILINE)
        assert not [order for order in orders if re.search(r"network|time-sync|time-set", order)], unit.name


def test_network_camera_example_opens_one_address_only() -> None:
    """The shipped example is off until renamed, and adds one address to a scanner that may reach none."""
    example = UNITS / "edge-scanner.service.d/network-camera.conf.example"
    keys = dict(line.split("=", 1) for line in example.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))

    assert keys["PrivateNetwork"] == "no"
    assert re.fullmatch(r"[0-9.]+", keys["IPAddressAllow"])
    assert keys_of("scanner")["IPAddressDeny"] == ["any"]


def test_account_has_the_camera_group_and_no_shell(tmp_path: Path) -> None:
    """Sysusers makes the account `edge` with the group `video`, without a login."""
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(FIRMWARE / "sysusers/edge.conf")],
        capture_output=True,
        check=True,
    )
    account = (tmp_path / "etc/passwd").read_text().strip().split(":")
    groups = (tmp_path / "etc/group").read_text()

    assert account[0] == "edge"
    assert account[5] == "/var/lib/edge"
    assert account[6].endswith("nologin")
    assert re.search(r"^video:x:\d+:edge$", groups, re.MULTILINE)


def test_settings_template_is_read_and_holds_the_defaults() -> None:
    """A gate with the shipped gate.toml untouched behaves as the documented defaults say."""
    assert Settings() == load_settings(FIRMWARE / "gate.toml")


def test_package_lists_hold_each_name_once_and_the_runtime_is_small() -> None:
    """A name stands in one list of those installed together; seeing the demo takes three packages and no browser."""
    names = {path.stem: re.sub(r"#.*", "", path.read_text()).split() for path in (FIRMWARE / "packages").glob("*.txt")}

    assert names["runtime"] == ["python3", "python3-venv", "libzbar0"]
    assert sorted(names) == ["gate", "kiosk", "long", "qemu", "runtime", "test"]
    for together in (("runtime", "test", "long", "qemu"), ("runtime", "gate", "kiosk")):
        every = [name for one in together for name in names[one]]
        assert len(every) == len(set(every))
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in every)


def test_dry_run_says_everything_and_does_nothing(tmp_path: Path) -> None:
    """`install.sh --dry-run --root DIR` names what it would lay down and leaves DIR empty."""
    done = subprocess.run(
        [str(FIRMWARE / "install.sh"), "--dry-run", "--kiosk", "--root", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "EDGE_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stderr
    for named in (
        "edge-scanner.service",
        "70-edge-scanner.rules",
        "edge-kiosk.service",
        "/etc/edge/gate.toml",
        "/opt/edge/venv",
        "libzbar0",
    ):
        assert named in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--root", "/nonexistent/folder"), "--root needs a folder that exists"),
        (("--frob",), "unknown option --frob"),
        (("--root",), "--root needs a folder that exists"),
    ],
)
def test_installer_refuses_what_it_does_not_know(words: tuple[str, ...], said: str) -> None:
    """A wrong option is one sentence and changes nothing."""
    done = subprocess.run(
        [str(FIRMWARE / "install.sh"), "--dry-run", *words], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert said in done.stderr.splitlines()[0]
