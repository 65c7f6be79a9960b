"""The publication over HTTP: whole files, parts of them, and not again what a mirror has already."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.authority import issuers, profiles
from edge.authority.authority import Authority, init
from edge.authority.publish import publish
from edge.authority.serve import application
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.repository import NOW


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A published authority whose provinces sign."""
    found = init(tmp_path / "country", NOW, delegated=True)
    issuers.add_issuer(found, profiles.profile("6101"), NOW)
    publish(found, NOW)
    return found


def ask(authority: Authority, path: str, **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Ask the application for a file."""
    told: list[Any] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", **{f"HTTP_{name}": value for name, value in headers.items()}}

    def start(status: str, found: list[tuple[str, str]]) -> None:
        told.extend((status, dict(found)))

    body = b"".join(application(authority.publication)(environ, start))
    return told[0][:3], told[1], body


@pytest.mark.parametrize(
    "path", ["metadata/1.province-61.json", "log/entries.ndjson", "log/checkpoint", "log/metadata/1.timestamp.json"]
)
def test_delegated_metadata_and_the_log_are_served(authority: Authority, path: str) -> None:
    """Byte for byte the file."""
    assert ask(authority, f"/{path}")[2] == (authority.publication / path).read_bytes()


def test_only_what_moves_is_asked_for_again(authority: Authority) -> None:
    """Files with a version or hash in their name are kept for ever."""
    kept = {
        path: "immutable" in ask(authority, path)[1]["Cache-Control"]
        for path in ("/metadata/timestamp.json", "/log/entries.ndjson", "/log/checkpoint", "/metadata/1.root.json")
    }

    assert list(kept.values()) == [False, False, False, True]


def test_a_file_that_is_known_is_not_sent_again(authority: Authority) -> None:
    """By its tag, until it changes."""
    _, headers, _ = ask(authority, "/metadata/timestamp.json")
    again = ask(authority, "/metadata/timestamp.json", IF_NONE_MATCH=f'"x", W/{headers["ETag"]}')
    publish(authority, NOW + 1)
    changed = ask(authority, "/metadata/timestamp.json", IF_NONE_MATCH=headers["ETag"])

    assert (again[0], again[2], changed[0]) == ("304", b"", "200")


def _ranges() -> Iterator[tuple[str, str, slice | None]]:
    yield "bytes=0-9", "206", slice(0, 10)
    yield "bytes=10-", "206", slice(10, None)
    yield "bytes=5-999999", "206", slice(5, None)
    yield "bytes=999999-", "416", None
    yield "bytes=9-5", "416", None
    for ignored in ("bytes=-5", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "x"):
        yield ignored, "200", slice(None)


@pytest.mark.parametrize(("wanted", "status", "part"), list(_ranges()))
def test_a_part_is_sent_where_one_is_asked_for(
    authority: Authority, wanted: str, status: str, part: slice | None
) -> None:
    """One part of bytes; anything else gets the whole, as the standard allows."""
    whole = (authority.publication / "metadata/1.root.json").read_bytes()

    found, headers, body = ask(authority, "/metadata/1.root.json", RANGE=wanted)

    assert (found, body) == (status, b"" if part is None else whole[part])
    if status == "206":
        assert headers["Content-Range"].endswith(f"/{len(whole)}")


def test_a_part_of_a_file_that_changed_is_the_whole(authority: Authority) -> None:
    """A download that is taken up again must not be glued together from two files."""
    found, _, body = ask(authority, "/metadata/1.root.json", RANGE="bytes=5-9", IF_RANGE='"another"')

    assert (found, body) == ("200", (authority.publication / "metadata/1.root.json").read_bytes())


def test_gates_refresh_while_the_authority_publishes(authority: Authority) -> None:
    """Forty publications and refreshes at once: every refresh gets a whole view."""
    store = TrustStore.init(authority.folder / "gate", (authority.publication / "metadata/1.root.json").read_bytes())
    failed: list[BaseException] = []

    def publish_often() -> None:
        try:
            for turn in range(40):
                issuers.add_key(authority, "6101", profiles.profile("6101").keys[0], NOW)
                publish(authority, NOW + turn)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=publish_often)
    writer.start()
    refreshed = 0
    while writer.is_alive() and refreshed < 400:
        store.refresh(FolderFetcher(authority.publication), NOW + 40)
        refreshed += 1
    writer.join(60)

    assert failed == []
    assert refreshed >= 1
    store.refresh(FolderFetcher(authority.publication), NOW + 40)
    assert store.load().issued_at == NOW + 39
