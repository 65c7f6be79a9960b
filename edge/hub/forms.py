"""The forms a page of scans is handed out in, by the name a pull asks for; and how a file of each is gone on with.

Each form is a line a scan, so that a file is appended to and mended after a crash, but for the batch of CloudEvents,
which is an answer and no file. Parquet is not among them: a file of it is closed once (`edge.hub.client`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edge.hub import cloudevents, tabular
from edge.hub.pull import Page
from edge.ledger import wire


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    Attributes:
        content_type: Media type of a page.
        render: Gives the page in pieces.
        header: What stands before the first line.
        start: What stands in every line before the hub sequence number; None where the form has no lines.
    """

    content_type: str
    render: Callable[[Page], Iterator[bytes]]
    header: bytes = b""
    start: bytes | None = None

    def cursor_of(self, line: bytes) -> int:
        """Return the hub sequence number of a line, 0 where it is none of this form."""
        if self.start is None or not line.startswith(self.start):
            return 0
        found = _NUMBER.match(line, len(self.start))
        return int(found[1]) if found else 0

    def is_torn(self, rest: bytes) -> bool:
        """Whether these bytes are a line of this form that broke off."""
        start = self.start or b""
        if len(rest) <= len(start):
            return start.startswith(rest)
        return self.cursor_of(rest + b",") > 0 or self.cursor_of(rest) > 0

    def page(self, page: Page) -> Iterator[bytes]:
        """Give header and lines of a page."""
        yield self.header
        yield from self.render(page)


_NUMBER: Final = re.compile(rb"([0-9]{1,15})[,}]")

FORMS: Final = {
    "ndjson": Form(wire.NDJSON_TYPE, Page.lines, b"", b'{"hub_seq":'),
    "csv": Form(tabular.CSV_TYPE, tabular.csv_lines, tabular.CSV_HEADER, b""),
    "cloudevents": Form(wire.NDJSON_TYPE, cloudevents.lines, b"", b'{"specversion":"1.0","hubseq":'),
    "cloudevents-batch": Form(cloudevents.BATCH_TYPE, cloudevents.batch),
}
LINED: Final = tuple(name for name, form in FORMS.items() if form.start is not None)
"""Forms that a file can be made of, line by line."""
