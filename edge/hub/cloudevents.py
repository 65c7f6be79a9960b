"""Scans as CloudEvents 1.0 in JSON, for those who feed an event bus: one event a line, or a batch as one array.

`source` is the gate, `id` its log and number, so that source and id name an event once in the world (CloudEvents
3.1.1); `subject` is the place, `time` the gate's, `hubseq` the cursor. The scan itself is `data`, as NDJSON has it.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from edge.hub.pull import Page, Row, iso

BATCH_TYPE: Final = "application/cloudevents-batch+json"
TYPE: Final = "edge.scan.v1"
SCHEMA: Final = "urn:edge:schema:scan:1"
"""Names the form of `data`, whose fields docs/operations.md lists; no address could be served by every hub."""


def lines(page: Page) -> Iterator[bytes]:
    """Give the page as CloudEvents, one event a line."""
    for chunk in page.chunks():
        yield "\n".join((*_events(page, chunk), "")).encode()


def batch(page: Page) -> Iterator[bytes]:
    """Give the page in the JSON Batch Format (CloudEvents JSON Event Format, 4)."""
    yield b"["
    for at, chunk in enumerate(page.chunks()):
        yield (("," if at else "") + ",".join(_events(page, chunk))).encode()
    yield b"]"


def _events(page: Page, rows: list[Row]) -> list[str]:
    return [_event(page, *pair) for pair in zip(rows, page.objects(rows), strict=True)]


def _event(page: Page, row: Row, data: str) -> str:
    hub_seq, log, place, seq, at_ms = row[:5]
    gate, epoch = page.logs[log]
    source, subject = _origin(gate, *page.places[place])
    time = iso(at_ms)
    # An attribute with a null value is as good as absent, but not every reader knows (CloudEvents JSON, 2.2).
    when = f'"time":"{time}",' if time else ""
    return (
        f'{{"specversion":"1.0","hubseq":{hub_seq},"id":"{epoch.hex()}-{seq}",{source},"type":"{TYPE}",{subject},{when}'
        f'"datacontenttype":"application/json","dataschema":"{SCHEMA}","data":{data}}}'
    )


@lru_cache(maxsize=4096)
def _origin(gate: bytes, site: str, lane: str) -> tuple[str, str]:
    subject = json.dumps(f"{site}/{lane}", ensure_ascii=False)
    return f'"source":"urn:edge:gate:{gate.hex()}"', f'"subject":{subject}'
