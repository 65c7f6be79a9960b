"""Every kind of answer a hub gives over HTTP, asked for one after the other.

`python -m tests.simulators.hub_answers` writes those that are shown in the OpenAPI document: they are a hub's own.
"""

import json
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from edge.hub import folder
from edge.hub.client import read_token
from edge.hub.hub import Hub
from edge.hub.roster import Place
from edge.hub.serve import create_app
from edge.ledger import wire
from tests.simulators.hub_gates import Clock, Device, begin, enrol, fact, post

EXAMPLES = Path(__file__).parents[2] / "edge" / "hub" / "openapi_examples.json"
DAY = "2026-11-18"
_FILE = f"{wire.EXPORT}/0000000000000000/{DAY}/batches-000000000000001-000000000000003.cbor"
_READ = (wire.SCANS, wire.GATES, wire.INCIDENTS, f"{wire.COVERAGE}/{DAY}", wire.EXPORT, _FILE)
_QUESTION = json.dumps({"day": DAY, "scan": 1, "purpose": "alarm"}).encode()
_STEPS = (wire.QUERIES, f"{wire.QUERIES}/1/approval", f"{wire.QUERIES}/1/answer")
_ALL = (*(("GET", path) for path in (*_READ, wire.QUERIES)), *(("POST", path) for path in _STEPS))


@dataclass(frozen=True)
class Heard:
    """One answer.

    Attributes:
        method: What was asked by.
        path: Where, without its query.
        status: HTTP status.
        media_type: What came back, with its parameters.
        body: All of it.
    """

    method: str
    path: str
    status: int
    media_type: str
    body: bytes

    @property
    def shown(self) -> Any:
        """The body as the document shows it: parsed where it is JSON."""
        return json.loads(self.body) if self.media_type == "application/json" else self.body.decode()


class Walk:
    """A hub with one gate, asked everything.

    Args:
        path: A folder that does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._clock = Clock()
        self._desk = begin(path, self._clock, url="http://localhost:8090")
        self._hub = Hub.open(path, clock=self._clock)
        self._app = create_app(self._hub)
        self._operator = read_token(path / folder.OPERATOR)
        self._gate = Device()
        enrol(self._hub, self._desk, self._gate, site="北站", lane="3")
        self.heard: list[Heard] = []

    def all(self) -> list[Heard]:
        """Ask everything and return what was answered."""
        for ask in (self._gates, self._operations, self._queries, self._refused, self._pages, self._full, self._broken):
            ask(self._app.test_client())
        self._hub.close()
        return self.heard

    def _ask(self, client: FlaskClient, method: str, path: str, **asked: Any) -> Heard:
        answer = client.open(path, method=method, **asked)
        found = Heard(method, path.partition("?")[0], answer.status_code, answer.headers["Content-Type"], answer.data)
        answer.close()
        self.heard.append(found)
        return found

    def _gates(self, client: FlaskClient) -> None:
        gate = self._gate
        gate.append(fact(0), fact(1, outcome=3), fact(2))
        post(self._hub, [gate.batch(1, 3)])
        twin = gate.clone(0)
        twin.scan(2, issuer="4403")
        newcomer = Device(5)
        code = self._desk.invite(Place("北站", "4", 0), 24).code
        old = self._desk.invite(Place("北站", "5", 0), 1).code
        self._clock.pass_s(2 * 3600)
        for body in (newcomer.request(code), Device(6).request(code), Device(7).request(old), b"\xff"):
            self._ask(client, "POST", wire.ENROL, data=body)
        for body in (gate.heartbeat(self._clock.ms), Device(9).heartbeat(0), b"\xff"):
            self._ask(client, "POST", wire.HEARTBEAT, data=body)
        self._ask(client, "POST", wire.BATCHES, data=twin.batch(1, 2))
        for path, most in (
            (wire.ENROL, wire.MAX_SIGNED),
            (wire.HEARTBEAT, wire.MAX_SIGNED),
            (wire.BATCHES, wire.MAX_POST),
        ):
            self._ask(client, "POST", path, data=b"x" * (most + 1))
            self._ask(client, "POST", path, data=b"x", headers={"Content-Encoding": "gzip"})

    def _operations(self, client: FlaskClient) -> None:
        operator = _bearer(self._operator)
        for path in _READ:
            self._ask(client, "GET", path, headers=operator)
        for form in ("csv", "cloudevents", "cloudevents-batch"):
            self._ask(client, "GET", f"{wire.SCANS}?format={form}", headers=operator)
        made = self._ask(client, "GET", wire.EXPORT, headers=operator)
        while made.status == 202:
            made = self._ask(client, "GET", wire.EXPORT, headers=operator)
        (key,) = self._hub.spool._orders
        path = _FILE.replace("0" * 16, key)
        self._ask(client, "GET", path, headers=operator)
        self._ask(client, "GET", f"{path}?from=x", headers=operator)
        self._ask(client, "GET", f"{wire.EXPORT}?view=xlsx", headers=operator)
        self._hub.spool._is_full = lambda _: True  # type: ignore[method-assign]
        self._ask(client, "GET", f"{wire.EXPORT}?view=csv", headers=operator)
        self._ask(client, "GET", f"{wire.SCANS}?limit=0", headers=operator)
        self._ask(client, "GET", f"{wire.COVERAGE}/today", headers=operator)
        for path in ("/v1/status", "/openapi.json", "/docs", "/static/hub.css", "/static/none.css"):
            self._ask(client, "GET", path)

    def _queries(self, client: FlaskClient) -> None:
        operator, auditor = _bearer(self._operator), _bearer(self._desk.new_token("auditor"))
        path, approval, answer = _STEPS
        old = {"day": "2020-01-01", "token": "00" * 8, "purpose": "order"}
        none = {"day": DAY, "scan": 999, "purpose": "fault"}
        for body in (_QUESTION, _QUESTION, json.dumps(none).encode(), json.dumps(old).encode(), b"x", b"x" * 20_000):
            self._ask(client, "POST", path, data=body, headers=operator)
        self._ask(client, "POST", path, data=_QUESTION, headers=operator | {"Content-Encoding": "gzip"})
        for step, who in ((answer, operator), (approval, auditor), (approval, auditor), (answer, operator)):
            self._ask(client, "POST", step, headers=who)
        self._ask(client, "GET", path, headers=auditor)
        self._clock.pass_s(5 * 3600)
        for step in (approval, answer):
            self._ask(client, "POST", step.replace("/1/", "/2/"), headers=auditor)
            self._ask(client, "POST", step.replace("/1/", "/9/"), headers=auditor)

    def _refused(self, client: FlaskClient) -> None:
        technician = _bearer(self._desk.new_token("technician"))
        for method, path in _ALL:
            self._ask(client, method, path, data=_QUESTION)
            self._ask(client, method, path, data=_QUESTION, headers=technician)
        for method, path in _ALL * 3:
            self._ask(client, method, path, data=_QUESTION, headers=_bearer("wrong"))

    def _pages(self, client: FlaskClient) -> None:
        far = {"REMOTE_ADDR": "192.0.2.1"}
        for path in ("/", "/live", "/coverage", f"/coverage/{DAY}"):
            self._ask(client, "GET", path)
            self._ask(client, "GET", path, environ_overrides=far)
            self._ask(client, "GET", path, headers={"Host": "evil.example"})
        self._ask(client, "GET", "/login", headers={"Host": "evil.example"})
        self._ask(client, "POST", "/login", data={"token": self._operator, "form": "x"})
        for token in [self._operator, *["wrong"] * 11]:
            form = re.search(r'name="form" value="([0-9a-f]+)"', self._ask(client, "GET", "/login").body.decode())
            assert form is not None
            self._ask(client, "POST", "/login", data={"token": token, "form": form[1]})
        for path in ("/login", "/logout"):
            self._ask(client, "POST", path, headers={"Host": "evil.example"})
        self._ask(client, "POST", "/logout")

    def _full(self, client: FlaskClient) -> None:
        reader = self._app.view_functions["api.scans"].__self__  # type: ignore[attr-defined]
        with ExitStack() as stack:
            for admission in (self._hub.admission, reader._pulls, reader._beats):
                while stack.enter_context(admission.entered()) == 0:
                    pass
            for method, path in _ALL:
                self._ask(client, method, path, data=_QUESTION, headers=_bearer(self._operator))
            self._ask(client, "POST", wire.HEARTBEAT, data=b"x")
            self._ask(client, "POST", wire.BATCHES, data=b"x")

    def _broken(self, client: FlaskClient) -> None:
        def fail(*_: object) -> bytes:
            raise RuntimeError("a defect")

        self._hub.tell = fail  # type: ignore[method-assign]
        self._ask(client, "GET", wire.GATES, headers=_bearer(self._operator))
        self._clock.pass_s(5)
        self._hub._counted = (-1e9, {})
        database = self._desk.home.database
        code = self._desk.invite(Place("北站", "6", 0), 24).code
        self._hub.writer.do(bool)
        database.rename(database.with_suffix(".away"))
        self._ask(client, "POST", wire.ENROL, data=Device(8).request(code))
        self._ask(client, "POST", wire.BATCHES, data=self._gate.batch(1, 1))
        for path in ("/v1/status", "/", "/live", f"/coverage/{DAY}"):
            self._ask(client, "GET", path)


def examples(heard: list[Heard]) -> dict[str, Any]:
    """Return the answers that the document shows, by the name it knows them under."""
    posted = {
        one.path: one.shown
        for one in reversed(heard)
        if (one.method, one.status) == ("POST", 200) and one.path in _STEPS
    }
    good = {
        one.path: one
        for one in reversed(heard)
        if (one.method, one.status) == ("GET", 200) and "csv" not in one.media_type
    }
    refusals = {
        f"refusal_{one.status}": one.shown
        for one in reversed(heard)
        if one.status >= 400 and one.media_type == "application/json"
    }
    return {
        "scans": good[wire.SCANS].shown,
        "scans_csv": next(one.shown for one in heard if one.media_type.startswith("text/csv")),
        "gates": good[wire.GATES].shown,
        "incidents": good[wire.INCIDENTS].shown,
        "coverage": good[_READ[3]].shown,
        "export": good[wire.EXPORT].shown,
        "making": next(one.shown for one in heard if one.status == 202),
        "token_query": posted[wire.QUERIES],
        "token_queries": good[wire.QUERIES].shown,
        "token_answer": posted[_STEPS[2]],
        "status": good["/v1/status"].shown,
        **dict(sorted(refusals.items())),
    }


def walked(folder_of_it: Path) -> list[Heard]:
    """Return the answers of a new hub in a folder."""
    return Walk(folder_of_it / "hub").all()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def main() -> None:
    """Write the examples."""
    with tempfile.TemporaryDirectory() as made:
        text = json.dumps(examples(walked(Path(made))), ensure_ascii=False, indent=1)
    EXAMPLES.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
