"""Pulling in every form: filters, cursors, files that are gone on with after a crash, cells that calculate nothing."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import AnswerRefused, ConfigError
from edge.hub import client, cloudevents, folder, outfile, pull, tabular
from edge.hub.client import Client, Fetched, Query, Source
from edge.hub.desk import Desk
from edge.hub.forms import FORMS, LINED
from edge.hub.hub import Hub
from edge.hub.outfile import OutFile, ParquetFolder
from edge.hub.pull import Asked, Filter, Page
from edge.model.scan import EntryType, Facts
from tests.simulators.hub_gates import START_MS, Clock, Device, enrol, post
from tests.simulators.hub_server import Caller, serving

SITE = '=HYPERLINK("http://evil")'


@pytest.fixture
def hub(desk: Desk) -> Iterator[Hub]:
    """A hub with two gates at two sites, 60 scans, a note and an entry nobody can read."""
    made = Hub.open(desk.home.path, clock=Clock())
    first, second = Device(1), Device(2)
    enrol(made, desk, first, site=SITE, lane="1,2")
    enrol(made, desk, second, site="北站")
    first.scan(30)
    second.scan(28)
    second.append(Facts(EntryType.NOTE, START_MS, refers_to=1, note="document_checked"), b"\xff")
    post(made, [first.batch(1, 20), second.batch(1, 10), first.batch(21, 30), second.batch(11, 30)])
    made.settle()
    yield made
    made.close()


@pytest.fixture
def source(hub: Hub) -> Iterator[Source]:
    """The hub, served, and the operator's token."""
    with serving(hub) as url:
        yield Source(url, client.read_token(hub.home.path / folder.OPERATOR))


def page(hub: Hub, asked: Asked) -> Page:
    """Read a page without HTTP."""
    with hub.store.reader() as connection:
        return pull.read(connection, asked)


def scans(hub: Hub) -> list[dict[str, object]]:
    """Return all scans as objects."""
    return [json.loads(line) for line in b"".join(page(hub, Asked(0)).lines()).splitlines()]


# Forms


def test_csv_says_what_the_lines_say(hub: Hub) -> None:
    """Every field of every row, by a strict reader of RFC 4180; formulas only lose their first place."""
    text = b"".join(FORMS["csv"].page(page(hub, Asked(0)))).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    assert text.count("\r\n") == 61
    for row, scan in zip(rows, scans(hub), strict=True):
        said = {name: "" if value is None else str(value) for name, value in scan.items()}
        if said["site"] == SITE:
            said["site"] = f"'{SITE}"
        assert said == row


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
@pytest.mark.parametrize("rest", ["1+1", "", '","x', "\r\n=2"])
def test_no_cell_begins_a_formula(first: str, rest: str) -> None:
    """Read back, it begins with an apostrophe and stands in one line."""
    drawn = tabular.cell(first + rest)
    (row,) = csv.reader(io.StringIO(f"{drawn},7\r\n", newline=""), strict=True)

    assert [f"'{first}{rest}".replace("\r", " ").replace("\n", " "), "7"] == row


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-batch"])
def test_cloudevents_carry_the_lines(hub: Hub, form: str) -> None:
    """The four attributes that must be there, the gate's time, the place, and the scan unchanged as data."""
    body = b"".join(FORMS[form].page(page(hub, Asked(0))))
    events = json.loads(body) if form == "cloudevents-batch" else [json.loads(line) for line in body.splitlines()]

    assert scans(hub) == [event["data"] for event in events]
    assert len({(event["source"], event["id"]) for event in events}) == 60
    assert {(event["specversion"], event["type"], event["dataschema"]) for event in events} == {
        ("1.0", cloudevents.TYPE, cloudevents.SCHEMA)
    }
    for event in events:
        scan = event["data"]
        assert event["source"] == f"urn:edge:gate:{scan['gate']}"
        assert event["subject"] == f"{scan['site']}/{scan['lane']}"
        assert event.get("time") == scan["at"]
        assert all(name.isalnum() and name == name.lower() for name in event)


def test_an_empty_batch_of_cloudevents_is_an_array(hub: Hub) -> None:
    """An empty page is still JSON."""
    assert b"".join(FORMS["cloudevents-batch"].page(page(hub, Asked(60)))) == b"[]"


def test_no_form_holds_a_token(hub: Hub) -> None:
    """Tokens stay behind in every form."""
    tokens = {number.to_bytes(8, "big").hex().encode() for number in range(1, 31)}
    for form in FORMS.values():
        body = b"".join(form.page(page(hub, Asked(0))))

        assert not any(token in body for token in tokens)
        assert b"token" not in body


# Filters


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        (Filter(gate=Device(2).gate.hex()[:6]), lambda scan: scan["gate"] == Device(2).gate.hex()),
        (Filter(site="北站"), lambda scan: scan["site"] == "北站"),
        (Filter(site="nowhere"), lambda _: False),
        (Filter(outcome=3), lambda scan: scan["outcome"] == "reject"),
        (Filter(reason="status.stale"), lambda scan: scan["reason"] == "status.stale"),
        (Filter(type=3), lambda scan: scan["type"] == "note"),
        (
            Filter(since_ms=START_MS + 5000, before_ms=START_MS + 9000),
            lambda scan: scan["at_ms"] is not None and START_MS + 5000 <= scan["at_ms"] < START_MS + 9000,
        ),
        (Filter(site="北站", outcome=1), lambda scan: scan["site"] == "北站" and scan["outcome"] == "accept"),
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("look", [3, 1000])
def test_a_filter_over_pages_is_the_filter_over_the_ledger(
    hub: Hub, wanted: Filter, is_wanted, limit: int, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the page size, and however little of the ledger a page looks through."""
    monkeypatch.setattr(pull, "LOOK", look)
    found: list[dict[str, object]] = []
    cursor, top = 0, 1
    while cursor < top:
        one = page(hub, Asked(cursor, limit, None, wanted))
        found += [json.loads(line) for line in b"".join(one.lines()).splitlines()]
        assert one.cursor > cursor
        cursor, top = one.cursor, one.top

    assert [scan for scan in scans(hub) if is_wanted(scan)] == found


def test_a_filtered_pull_over_http_goes_on_over_empty_pages(
    source: Source, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty page is no end while its cursor is before the top."""
    monkeypatch.setattr(pull, "LOOK", 5)
    query = Query(until=59, filters={"type": "note", "before": "2030-01-01T00:00:00+08:00"})

    assert [scan for scan in scans(hub) if scan["type"] == "note"] == list(Client(source).scans(query))


@pytest.mark.parametrize(
    "asked",
    [
        *("outcome=maybe", "type=stranger", "gate=xyz", "gate=ab", "since=yesterday", "since=2026-01-01T00:00:00"),
        *("site=", "until=-1", "format=parquet", "limit=0", "order=time", "reason=" + "x" * 300),
    ],
)
def test_what_a_pull_cannot_ask_is_refused(source: Source, asked: str) -> None:
    """With a next step."""
    with Caller(source.url) as caller:
        answer = caller.get(f"/v1/scans?{asked}", Authorization=f"Bearer {source.token}")

    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert answer.json["next_step"]


# Files


@pytest.mark.parametrize("form", LINED)
def test_a_file_of_every_form_is_mended_in_every_byte(source: Source, tmp_path: Path, form: str) -> None:
    """Wherever the crash came, the same pull ends in the same file."""
    out = tmp_path / "scans"
    query = Query(form=form, until=4)
    pull_into(out, source, query)
    whole = out.read_bytes()

    for length in range(len(whole)):
        out.write_bytes(whole[:length])
        with OutFile(out, form) as file:
            kept = out.read_bytes()
            assert whole[: whole.rfind(b"\n", 0, length) + 1] == kept
            assert file.last == kept.count(b"\n") - bool(FORMS[form].header and kept)
        if length % 97 == 0:
            pull_into(out, source, query)
            assert whole == out.read_bytes()


@pytest.mark.parametrize("form", LINED)
def test_a_file_of_another_form_is_left_alone(source: Source, tmp_path: Path, form: str) -> None:
    """A CSV file is not gone on with in NDJSON."""
    out = tmp_path / "scans"
    for other in set(LINED) - {form}:
        out.unlink(missing_ok=True)
        pull_into(out, source, Query(form=other))
        before = out.read_bytes()

        with pytest.raises(ConfigError, match="something other"):
            OutFile(out, form)
        assert before == out.read_bytes()


def test_parquet_parts_together_are_the_ledger(
    source: Source, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts follow each other, a later pull goes on behind them, and the rows are those of the lines."""
    monkeypatch.setattr(client, "PAGE", 10)
    monkeypatch.setattr(outfile, "PART", 20)
    out = tmp_path / "it's here"
    for until in (45, 60):
        with ParquetFolder(out) as parts:
            keep(parts, Client(source).pages(Query(parts.last, until=until)))

    names = sorted(file.name for file in out.iterdir())
    assert [(int(name[6:21]), int(name[22:37])) for name in names] == [(1, 20), (21, 40), (41, 45), (46, 60)]
    assert scans(hub) == [row for name in names for row in tabular.from_parquet(out / name)]


def test_a_parquet_pull_that_broke_off_leaves_whole_files_only(source: Source, tmp_path: Path) -> None:
    """What was fetched before the break is kept as a whole file."""

    def broken() -> Iterator[Fetched]:
        yield next(Client(source).pages(Query(limit=10)))
        raise AnswerRefused("broken", "again")

    with pytest.raises(AnswerRefused), ParquetFolder(tmp_path / "out") as parts:
        keep(parts, broken())

    (file,) = (tmp_path / "out").iterdir()
    assert len(list(tabular.from_parquet(file))) == 10


@pytest.mark.parametrize("name", ["a*", "a?", "a[0]", "a{b}"])
def test_a_wildcard_in_a_path_is_refused(source: Source, tmp_path: Path, name: str) -> None:
    """DuckDB would read other files than the one that was meant."""
    with pytest.raises(ConfigError, match="wildcard"), ParquetFolder(tmp_path / name) as parts:
        parts.take(next(Client(source).pages(Query())))


# The client


def test_the_client_waits_when_the_hub_says_so(source: Source, hub: Hub) -> None:
    """A full hub names a slot; the client comes back in it, a bounded number of times."""
    waited: list[float] = []
    hub_is = Client(Source(source.url, "wrong"), sleep=waited.append)
    for _ in range(10):
        with pytest.raises(AnswerRefused):
            hub_is.document("/v1/scans")

    with pytest.raises(AnswerRefused) as met:
        hub_is.document("/v1/scans")

    assert met.value.status == 429
    assert len(waited) == 4
    assert all(0 < seconds <= 60 for seconds in waited)


def test_following_gives_what_comes_later(source: Source, hub: Hub, desk: Desk) -> None:
    """The generator waits at the end and goes on with what a gate sent meanwhile."""
    third = Device(3)

    def sleep(_: float) -> None:
        enrol(hub, desk, third)
        third.scan(1)
        post(hub, [third.batch(1, 1)])

    following = Client(source, sleep=sleep).follow(Query(after=59))

    assert [next(following)["hub_seq"], next(following)["gate"]] == [60, third.gate.hex()]


def test_a_source_does_not_show_its_token(source: Source) -> None:
    """In no representation."""
    assert source.token not in repr(source) + repr(Client(source))


def keep(parts: ParquetFolder, pages: Iterator[Fetched]) -> None:
    """Hand every page on."""
    for one in pages:
        parts.take(one)


def pull_into(out: Path, source: Source, query: Query) -> None:
    """Pull into a file, going on where it ends."""
    with OutFile(out, query.form) as file:
        for one in Client(source).pages(Query(file.last, until=query.until, form=query.form)):
            file.take(one)
