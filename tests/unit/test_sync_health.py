"""The gate's health in its heartbeat: numbers that hold, and nothing where there is none."""

from pathlib import Path

from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.sync.health import health_of


def test_a_gate_tells_disk_heat_and_time_to_a_verdict(tmp_path: Path) -> None:
    """The 95th percentile of the newest scans, the hottest sensor, and what is free on the disk."""
    log = ScanLog.open(tmp_path / "scans.db")
    for duration_ms in range(1, 101):
        log.append(Facts(EntryType.SCAN, 1, duration_ms=duration_ms))
    log.close()
    for number, text in enumerate(["48312", "61900", "broken", "-5"]):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(text)

    found = health_of(tmp_path, ScanLogReader(tmp_path / "scans.db"), thermal=tmp_path)

    assert (found["verdict_p95_ms"], found["temperature_c"]) == (95, 61)
    assert isinstance(found["disk_free_mb"], int)


def test_what_cannot_be_found_out_is_left_out(tmp_path: Path) -> None:
    """No log, no sensor, no folder: no number, and no failure."""
    missing = tmp_path / "missing"

    assert health_of(missing, ScanLogReader(missing / "scans.db"), thermal=missing) == {}
