"""What most tests of the hub begin with; a test file that needs another hub or gate says so itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.hub.desk import Desk
from edge.hub.hub import Hub
from tests.simulators.hub_gates import Clock, Device, begin, enrol


@pytest.fixture
def clock() -> Clock:
    """The hub's clock."""
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    """A hub folder."""
    return begin(tmp_path / "hub", clock)


@pytest.fixture
def hub(desk: Desk, clock: Clock) -> Iterator[Hub]:
    """An open hub."""
    made = Hub.open(desk.home.path, clock=clock)
    yield made
    made.close()


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate."""
    made = Device()
    enrol(hub, desk, made)
    return made
