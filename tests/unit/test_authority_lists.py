"""An authority's lists: published in parts, revoked by the thousand, reserved for desks, taken back with a reason."""

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from edge.authority import desk, issuers, ledger, lists, profiles
from edge.authority.authority import Authority, init
from edge.authority.ledger import Index
from edge.authority.marks import Marking
from edge.authority.profiles import KeyProfile
from edge.authority.publish import publish
from edge.authority.revocation import set_status, set_statuses
from edge.authority.spans import BLOCK, Span, drawable, free_spans, index_of
from edge.cli.authority import authority as authority_command
from edge.errors import PublicationError
from edge.model.trust import Status
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore

NOW = 1_795_000_000
DAY = 86_400
LARGE = 1 << 21
"""The smallest power of two that is published in parts."""
HUGE = 1_000_000_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with one issuer, whose list 2 is in parts."""
    found = init(tmp_path / "authority", NOW - DAY)
    issuers.add_issuer(found, profiles.profile("yuekang"), NOW)
    issuers.add_key(found, "44", KeyProfile(("person",), ("44",), DAY), NOW, list_size=LARGE)
    return found


@pytest.fixture
def store(authority: Authority) -> TrustStore:
    """A gate of it."""
    return TrustStore.init(authority.folder / "gate", (authority.publication / "metadata/1.root.json").read_bytes())


def pulled(authority: Authority, store: TrustStore, now: int = NOW, number: int = 2) -> list[Status | None]:
    """Publish and refresh; return what the gate says of the first passes issued in the list."""
    publish(authority, now)
    store.refresh(FolderFetcher(authority.publication), now)
    listed = store.load().status_lists["44", number]
    with closing(sqlite3.connect(authority.folder / "ledger.db")) as connection:
        rows = connection.execute(
            "SELECT idx FROM passes JOIN lists ON lists.id = list WHERE number = ? ORDER BY issued_at, idx", (number,)
        ).fetchall()
    return [listed.status(index) for (index,) in rows]


def draw(authority: Authority, count: int, number: int = 2) -> list[Index]:
    """Issue some indices, in order of time."""
    return [authority.ledger.draw("44", number, (NOW + turn, NOW + DAY), 0) for turn in range(count)]


def delta_paths(authority: Authority) -> list[int]:
    """Sequence numbers of the deltas that are published."""
    names = [file.name.partition(".")[2] for file in (authority.publication / "targets/issuers/44/status").iterdir()]
    return sorted(int(name.rpartition(".")[2]) for name in names if ".delta." in name)


def test_a_list_in_parts_travels_from_ledger_to_gate(authority: Authority, store: TrustStore) -> None:
    """Issued, revoked, suspended, restored, un-revoked; each by one delta."""
    places = draw(authority, 4)
    steps = [
        ((0, Status.INVALID), (1, Status.SUSPENDED)),
        ((2, Status.INVALID), (1, Status.VALID)),
        ((0, Status.VALID), (2, Status.SUSPENDED)),
    ]
    expected = [Status.VALID] * 4
    assert pulled(authority, store) == expected

    for step in steps:
        for turn, status in step:
            set_status(authority, "44", places[turn].index, status, NOW, reason="order 12")
            expected[turn] = status
        assert pulled(authority, store) == expected
    assert delta_paths(authority) == [2, 3, 4]


def test_nothing_new_publishes_no_delta(authority: Authority, store: TrustStore) -> None:
    """A daily publication of an unchanged list changes none of its files."""
    draw(authority, 3)
    pulled(authority, store)

    assert publish(authority, NOW + 60).changed == ()
    assert delta_paths(authority) == []


def test_what_was_gathered_and_not_published_is_not_lost(authority: Authority, store: TrustStore) -> None:
    """A publication that fails after it made a delta: the next one goes on from it."""
    places = draw(authority, 2)
    pulled(authority, store)
    set_status(authority, "44", places[0].index, Status.INVALID, NOW)
    lists.gather_lists(authority)
    set_status(authority, "44", places[1].index, Status.INVALID, NOW)

    assert pulled(authority, store) == [Status.INVALID] * 2
    assert delta_paths(authority) == [2, 3]


def test_bases_follow_and_deltas_stay_bounded(authority: Authority, store: TrustStore) -> None:
    """After 32 changes a new base; 64 deltas stay; a gate that was never there and one that was agree."""
    places = draw(authority, 70)
    pulled(authority, store)
    for place in places:
        set_status(authority, "44", place.index, Status.INVALID, NOW)
        files = lists.gather_lists(authority)
    numbers = sorted(int(path.rpartition(".")[2]) for path in files if ".delta." in path)
    late = TrustStore.init(authority.folder / "late", (authority.publication / "metadata/1.root.json").read_bytes())

    assert numbers == list(range(8, 72))
    assert pulled(authority, store) == [Status.INVALID] * 70 == pulled(authority, late)
    assert {file.name for file in (authority.folder / "lists").iterdir()} == {
        sha256(files[path]).hexdigest() for path in files if "/status/2" in path
    } | {authority.ledger.published_state("44", 2)["state"], *newest_parts(authority)}


def newest_parts(authority: Authority) -> set[str]:
    """The parts of the newest state, where the base is older."""
    from edge.trust.list_state import parse_state

    digest = authority.ledger.published_state("44", 2)["state"]
    state = parse_state((authority.folder / "lists" / digest).read_bytes(), "issuers/44/status/2")
    return {part.hex() for part in state.digests()}


def test_a_change_too_large_for_a_delta_is_a_new_base(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """More flips than a delta may hold."""
    places = draw(authority, 20)
    lists.gather_lists(authority)
    monkeypatch.setattr("edge.codec.gaps.MAX_NUMBERS", 10)
    for place in places:
        set_status(authority, "44", place.index, Status.INVALID, NOW)

    files = lists.gather_lists(authority)

    assert [path for path in files if ".delta." in path] == []
    assert authority.ledger.published_state("44", 2)["base_sequence"] == 2


def test_the_packed_form_says_the_same(authority: Authority) -> None:
    """For those who read Token Status Lists: entry by entry what the parts say."""
    from edge.trust import status_list

    places = draw(authority, 30)
    for place in places[::3]:
        set_status(authority, "44", place.index, Status.INVALID, NOW)
    for place in places[1::3]:
        set_status(authority, "44", place.index, Status.SUSPENDED, NOW)

    files = lists.gather_lists(authority)

    packed = status_list.parse(files["issuers/44/status/2.cbor"], "x")
    parted = lists.read_back(files).status_lists["44", 2]
    for place in places:
        assert packed.status(place.index) == parted.status(place.index)
    assert packed.status(LARGE - 1) == parted.status(LARGE - 1)


def test_a_large_change_is_named_for_the_national_role(authority: Authority) -> None:
    """Publishing warns, and `large_changes` says path and hash."""
    (added,) = [issuers.add_key(authority, "44", KeyProfile(("person",), ("44",), DAY), NOW, list_size=LARGE)]
    authority.ledger.reserve("44", added.status_list, 5000, "desk", NOW)
    publish(authority, NOW)
    spans = authority_ranges(authority)
    indices = [index for span in spans for index in range(span.start, span.end)][:1500]
    for _ in authority.ledger.mark("44", added.status_list, indices, Marking(Status.INVALID, NOW)):
        pass

    result = publish(authority, NOW)

    ((path, digest),) = lists.large_changes(authority)
    assert path == "issuers/44/status/3.delta.2"
    assert digest == sha256((authority.folder / "lists" / digest).read_bytes()).hexdigest()
    assert path in result.warnings[0]


def authority_ranges(authority: Authority) -> list[Span]:
    """Every range that was reserved."""
    with closing(sqlite3.connect(authority.folder / "ledger.db")) as connection:
        return [Span(*row) for row in connection.execute("SELECT start, count FROM ranges ORDER BY start")]


# Many at once


def test_many_passes_are_revoked_in_shares(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each share is durable; doing it again changes nothing; what was never issued is told."""
    monkeypatch.setattr(ledger, "_AT_ONCE", 7)
    places = draw(authority, 20)
    strange = next(index for index in range(LARGE) if index not in {place.index for place in places})
    lines = ["# the list of Tuesday", "", *(f"{place.index}\n" for place in places), str(strange), str(strange)]
    marking = Marking(Status.INVALID, NOW, "order 12")

    steps = list(set_statuses(authority, ("44", 2), lines, marking))
    again = list(set_statuses(authority, ("44", 2), lines, marking))

    assert [step.done for step in steps] == [7, 14, 21]
    assert (steps[-1].changed, steps[-1].refused, steps[-1].unknown, steps[-1].total) == (20, 1, (strange,), 21)
    assert again[-1].changed == 0
    assert len(authority.ledger.history(places[0])) == 1


def test_a_cut_long_change_is_finished_by_the_same_command(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after the first share: the rest is done, the first share once."""
    monkeypatch.setattr(ledger, "_AT_ONCE", 7)
    places = draw(authority, 20)
    lines = [str(place.index) for place in places]
    marking = Marking(Status.INVALID, NOW)
    cut = set_statuses(authority, ("44", 2), lines, marking)
    next(cut)
    cut.close()

    steps = list(set_statuses(authority, ("44", 2), lines, marking))

    assert steps[-1].changed == 13
    assert all(len(authority.ledger.history(place)) == 1 for place in places)


@pytest.mark.parametrize("line", ["x", "-1", "1.5", "4294967296", "٣", "1 2", "9" * 70])
def test_a_line_that_is_no_index_changes_nothing(authority: Authority, line: str) -> None:
    """It is found before the first change, and named."""
    (place,) = draw(authority, 1)

    with pytest.raises(PublicationError, match="Line 2 "):
        list(set_statuses(authority, ("44", 2), [str(place.index), line], Marking(Status.INVALID, NOW)))

    assert authority.ledger.find("44", place.index, 2) == [(place, Status.VALID)]


def test_many_are_restored_only_with_a_reason(authority: Authority) -> None:
    """Among them may be revoked ones."""
    (place,) = draw(authority, 1)

    with pytest.raises(PublicationError, match="reason"):
        list(set_statuses(authority, ("44", 2), [str(place.index)], Marking(Status.VALID, NOW)))


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines", "\x1b[31m"])
def test_a_reason_is_a_short_printable_text(authority: Authority, reason: str) -> None:
    """It is shown in terminals for years."""
    (place,) = draw(authority, 1)

    with pytest.raises(PublicationError, match="printable"):
        set_status(authority, "44", place.index, Status.INVALID, NOW, reason=reason)


# Reserves


def test_two_desks_never_collide(authority: Authority, tmp_path: Path) -> None:
    """Two desks draw all they have, the authority draws too: no index twice, no order to be seen."""
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        file.write_bytes(desk.reserve(authority, ("44", 2), 3000, file.name, NOW).encode())

    drawn = [index.index for file in files for _ in range(3) for index in desk.draw(file, 1000)]
    own = [place.index for place in draw(authority, 200)]

    assert len(set(drawn + own)) == 6200
    assert max(drawn + own) < LARGE
    assert drawn[:1000] != sorted(drawn[:1000])
    assert all((index // BLOCK) % 2 == 1 for index in drawn)
    for file in files:
        with pytest.raises(PublicationError, match="0 indices left"):
            desk.draw(file, 1)


def test_reserves_of_many_desks_never_overlap(authority: Authority) -> None:
    """A hundred desks of many sizes, until the list is full."""
    given_out: list[Span] = []
    sizes = (1 + 997 * number for number in range(100))
    with pytest.raises(PublicationError, match="no room"):
        given_out.extend(span for size in sizes for span in authority.ledger.reserve("44", 2, size, "desk", NOW))

    ends = sorted((span.start, span.end) for span in given_out)
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert ends[-1][1] <= LARGE
    assert sum(span.count for span in given_out) > LARGE // 2 * 0.9


def test_a_reserve_avoids_what_was_issued_before(authority: Authority) -> None:
    """Ledgers of an older form drew from everywhere."""
    with closing(sqlite3.connect(authority.folder / "ledger.db")) as connection, connection:
        (id_,) = connection.execute("SELECT id FROM lists WHERE issuer = '44' AND number = 2").fetchone()
        for block in range(1, LARGE // BLOCK - 2, 2):
            connection.execute("INSERT INTO passes VALUES (?, ?, 0, 0, 0, 0, 0)", (id_, block * BLOCK + 5))

    (span,) = authority.ledger.reserve("44", 2, 100, "desk", NOW)

    assert span.start // BLOCK == LARGE // BLOCK - 1


def test_a_pass_of_a_desk_is_revoked_by_its_index(authority: Authority, store: TrustStore, tmp_path: Path) -> None:
    """The ledger never saw it drawn; outside of every reserve it is still unknown."""
    file = tmp_path / "desk.json"
    file.write_bytes(desk.reserve(authority, ("44", 2), 10, "desk", NOW).encode())
    (place,) = desk.draw(file, 1)

    set_status(authority, "44", place.index, Status.INVALID, NOW)

    assert pulled(authority, store) == [Status.INVALID]
    with pytest.raises(PublicationError, match="no pass with this index"):
        set_status(authority, "44", 5, Status.INVALID, NOW, number=2)


def test_a_cut_draw_costs_indices_and_repeats_none(tmp_path: Path, authority: Authority) -> None:
    """The number is on the disk first: a desk's file read again goes on behind it."""
    file = tmp_path / "desk.json"
    file.write_bytes(desk.reserve(authority, ("44", 2), 10, "desk", NOW).encode())

    first, again = desk.draw(file, 4), desk.draw(file, 6)

    assert len({place.index for place in first + again}) == 10
    assert desk.read(file).drawn == 10


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"schema": 1}', b"\xff" * 10])
def test_a_file_that_is_no_reserve_is_refused(tmp_path: Path, data: bytes) -> None:
    """Nothing is drawn from it."""
    file = tmp_path / "desk.json"
    file.write_bytes(data)

    with pytest.raises(PublicationError):
        desk.draw(file, 1)


@given(st.integers(1, 3000), st.binary(min_size=16, max_size=16))
def test_a_reserve_of_any_size_is_drawn_wholly(count: int, secret: bytes) -> None:
    """A permutation: every index once."""
    found = desk.Reserve(
        "44", 1, "x", (Span(BLOCK, (count + 1) // 2), Span(3 * BLOCK, count - (count + 1) // 2)), secret
    )

    drawn = {found.index(turn) for turn in range(count)}

    assert drawn == {index for span in found.spans for index in range(span.start, span.end)}


@pytest.mark.parametrize("size", [1, 63, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 7, HUGE])
def test_draws_and_reserves_share_a_list_without_overlap(size: int) -> None:
    """Every index that is drawn lies in an even block, the last too; what is reserved lies in the odd ones."""
    room = drawable(size)
    spans = free_spans(size, [], 100, lambda _: False)

    for number in {0, room // 2, room - 1}:
        assert 0 <= index_of(number) < size
        assert (index_of(number) // BLOCK) % 2 == 0
    assert all((span.start // BLOCK) % 2 == 1 and span.end <= size for span in spans)


# The ledger itself


def test_a_ledger_of_the_first_form_is_brought_up(tmp_path: Path) -> None:
    """Lists, passes, statuses and what was given, in one step; it stays usable by nothing older."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE lists (issuer TEXT, number INTEGER, size INTEGER, bits INTEGER, is_foreign INTEGER,"
            " PRIMARY KEY (issuer, number));"
            "CREATE TABLE passes (issuer TEXT, number INTEGER, idx INTEGER, kind INTEGER, issued_at INTEGER,"
            " expires_at INTEGER, status INTEGER, changed_at INTEGER, PRIMARY KEY (issuer, number, idx));"
            "INSERT INTO lists VALUES ('44', 1, 1048576, 2, 0), ('53', 1, 1048576, 2, 1);"
            "INSERT INTO passes VALUES ('44', 1, 7, 0, 1, 2, 1, 3), ('44', 1, 9, 0, 1, 2, 0, 1);"
            "INSERT INTO passes VALUES ('53', 1, 5, 0, 0, 0, 2, 9)"
        )
    found = ledger.Ledger(path)

    assert list(found.marked("44", 1)) == [(7, 1)]
    assert list(found.marked("53", 1)) == [(5, 2)]
    assert found.find("44", 9, None) == [(Index("44", 1, 9), Status.VALID)]
    assert [size.issued for size in found.lists().values()] == [2, 1 << 20]
    assert found.draw("44", 1, (5, 6), 0).number == 1


def test_a_ledger_of_a_newer_form_is_left_alone(authority: Authority) -> None:
    """An older program must not give an index twice."""
    with closing(sqlite3.connect(authority.folder / "ledger.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 9")

    with pytest.raises(PublicationError, match="newer version"):
        authority.ledger.lists()


# By commands


def edge(*words: object, input_: str | None = None) -> Result:
    """Run `edge authority ...`."""
    return CliRunner(catch_exceptions=False).invoke(authority_command, [str(word) for word in words], input=input_)


def test_a_file_of_indices_is_revoked_and_restored_by_commands(authority: Authority, tmp_path: Path) -> None:
    """Revoked, taken back with a reason, and the trail tells both."""
    places = draw(authority, 5)
    lines = "".join(f"{place.index}\n" for place in places)
    base = (authority.folder, "--issuer", "44", "--list", 2)
    authority_words = ("revoke", *base, "--from", "-", "--json")

    done = edge(*authority_words, input_=lines)
    with pytest.raises(PublicationError, match="reason"):
        edge(*authority_words, "--undo", input_=lines)
    undone = edge(*authority_words, "--undo", "--reason", "wrong list", input_=lines)
    told = edge("history", *base, "--index", places[0].index, "--json").output.splitlines()

    assert (json.loads(done.output)["changed"], json.loads(undone.output)["changed"]) == (5, 5)
    assert [json.loads(line)["now"] for line in told] == ["invalid", "valid"]
    assert json.loads(told[1])["reason"] == "wrong list"


def test_unknown_indices_are_told_and_end_the_command_with_1(authority: Authority) -> None:
    """Those that are known are done."""
    (place,) = draw(authority, 1)

    done = edge(
        "revoke", authority.folder, "--issuer", "44", "--list", 2, "--from", "-", input_=f"{place.index}\n1\n2\n"
    )

    assert done.exit_code == 1
    assert "2 indices were never issued in this list: 1, 2" in done.output
    assert authority.ledger.find("44", place.index, 2) == [(place, Status.INVALID)]


def test_a_desk_is_served_by_commands(authority: Authority, tmp_path: Path) -> None:
    """Reserve, draw, and never over a file that is there."""
    file = tmp_path / "desk.json"
    words = (
        "reserve",
        authority.folder,
        "--issuer",
        "44",
        "--list",
        2,
        "--count",
        50,
        "--desk",
        "北京南站",
        "--out",
        file,
    )

    assert edge(*words).exit_code == 0
    drawn = edge("draw", file, "--count", 50).output.split()
    with pytest.raises(PublicationError, match="there already"):
        edge(*words)

    assert len(set(drawn)) == 50
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_list_of_hashes_is_put_in_place_by_commands(authority: Authority, store: TrustStore) -> None:
    """From hexadecimal lines to a gate."""
    digests = [sha256(bytes([number])).digest() for number in range(3)]
    lines = "".join(f"{digest.hex()}\n" for digest in digests[:2])

    edge("set-hashes", authority.folder, "--issuer", "44", "--kind", "identifier", "--from", "-", input_=lines)
    pulled(authority, store)

    found = store.load().hash_lists["44", 1]
    assert [digest in found for digest in digests] == [True, True, False]
    with pytest.raises(PublicationError, match="Line 1 is no SHA-256"):
        edge("set-hashes", authority.folder, "--issuer", "44", "--kind", "identifier", "--from", "-", input_="zz\n")
