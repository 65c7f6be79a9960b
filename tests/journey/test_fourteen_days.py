"""Two weeks without a network are a non-event: people pass as before, and everything is at the hub afterwards.

Every hour people come, every noon the gate is killed, every night the power is cut for an hour. The machine has a
battery clock, a saved one that stands still while it is off, or none and wakes in 1970.
"""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge.authority.publish import publish
from edge.errors import Unreachable
from edge.hub import inspection
from edge.hub.hub import Hub
from edge.identity.identity import load_enrolment, load_identity
from edge.ledger import facts
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType
from edge.model.settings import Settings, SyncSettings
from edge.model.trust import Band
from edge.scanlog.reader import ScanLogReader
from edge.sync.foreground import push_now
from edge.sync.outbox import Outbox
from edge.sync.pusher import Pusher, perform
from edge.sync.session import Session
from edge.sync.store import FILE, SyncStore
from edge.sync.transport import Answer, Question
from edge.sync.transports.http import HttpTransport
from tests.simulators.fortnight import DAYS, PEOPLE, START, Site
from tests.simulators.hub_server import serving
from tests.simulators.machine import Machine

HOURS = 23
QUALITIES = {"battery": ClockQuality.RTC, "saved": ClockQuality.RTC, "none": ClockQuality.FLOOR}


class Lossy:
    """A bad link: of every second exchange the answer gets lost on its way back.

    Args:
        real: The way to the hub.
    """

    def __init__(self, real: HttpTransport) -> None:
        self._real = real
        self._count = 0

    def exchange(self, question: Question) -> Answer:
        """Ask, and lose some of what comes back."""
        answer = self._real.exchange(question)
        self._count += 1
        if self._count % 2 == 0:
            raise Unreachable("The answer got lost.", "")
        return answer

    def hold(self) -> bool:
        """Keep the way open."""
        return True

    def close(self) -> None:
        """Close it."""
        self._real.close()


@contextmanager
def alone_since_day_0(folder: Path, kind: str) -> Iterator[tuple[Site, Hub]]:
    """Give a site whose gate has been alone for two weeks, and its hub."""
    machine = Machine(0 if kind == "none" else START, rtc_s=START if kind == "battery" else None)
    site = Site(folder, machine)
    with closing(Hub.open(folder / "hub", clock=site.hub_clock)) as hub:
        site.enrol(hub)
        site.start()
        try:
            site.fortnight(kind)
            yield site, hub
        finally:
            site.log.close()


def push_over_a_bad_link(site: Site, url: str, exchanges: int) -> None:
    """Push for some exchanges of which half the answers are lost, then die."""
    enrolment, key = load_enrolment(site.state), load_identity(site.state)
    assert enrolment is not None
    with closing(SyncStore(site.state / FILE)) as store, closing(Lossy(HttpTransport(url, 10))) as transport:
        outbox = Outbox(store, ScanLogReader(site.state / "scans.db"), key)
        session = Session(SyncSettings(), random.Random(1).random, was_online=False)
        session.urge()
        pusher = Pusher(session, outbox, key, dict)
        now = 0.0
        while exchanges:
            job = pusher.next(now, site.true_s * 1000, outbox.standing())
            if job is None:
                now += 0.5
                continue
            exchanges -= 1
            pusher.done(job, perform(job, transport, enrolment.hub_keys), now, site.true_s * 1000)


def held(hub: Hub) -> list[tuple[int, bytes]]:
    """Return number and body of every entry the hub holds, in its own order, from the signed batches."""
    hub.settle()
    with hub.store.reader() as connection:
        return connection.execute("SELECT seq, type FROM scans ORDER BY hub_seq").fetchall()


@pytest.mark.parametrize("kind", QUALITIES)
def test_two_weeks_alone(tmp_path: Path, kind: str) -> None:
    """Nobody valid waits, nobody revoked passes, nothing crashes; on return 0 entries are lost and 0 doubled."""
    with alone_since_day_0(tmp_path, kind) as (site, hub):
        check_people(site)
        assert QUALITIES[kind] in site.qualities
        assert ClockQuality.DOUBTFUL not in site.qualities
        head = site.log.verify()
        check_return(site, hub, head.seq)
        check_trust_is_fresh_again(site)


def check_people(site: Site) -> None:
    """Hold what people were told against what they should have been told."""
    shown, nights = site.shown, DAYS - 1
    people, last = shown["short-lived"], shown["short-lived, day 14"]

    assert people.total() == nights * HOURS * PEOPLE
    assert last.total() == HOURS * PEOPLE
    assert people["accept", "ok"] >= 0.99 * people.total(), people
    assert last["accept", "ok"] >= 0.99 * last.total(), last
    assert set(shown["revoked"]) == {("reject", "status.revoked")}
    assert set(shown["long-lived, trust fresh"]) == {("accept", "ok")}
    assert set(shown["long-lived, trust stale"]) == {("refer", "status.stale")}
    assert set(shown["expired"]) == {("reject", "time.expired")}
    assert set(shown["shown again after twelve minutes"]) == {("accept", "ok")}
    assert set(shown["shown again at once"]) == {("refer", "repeat.recent")}
    assert set(shown["a stranger's code"]) == {("reject", "credential.foreign")}


def check_return(site: Site, hub: Hub, last: int) -> None:
    """Push everything over a link that loses answers, then over a good one, and compare both ends."""
    bodies = [entry.body for entry in site.log.entries(1, last)]
    settings = Settings(state=str(site.state))
    with serving(hub) as url:
        push_over_a_bad_link(site, url, 9)
        with_hub = Settings(state=settings.state, sync=SyncSettings(hub=url))
        done = push_now(with_hub, now_ms=lambda: site.true_s * 1000, report=lambda _: None)
        again = push_now(with_hub, now_ms=lambda: site.true_s * 1000, report=lambda _: None)

    assert (done.waiting, again.pushed) == (0, 0)
    rows = held(hub)
    assert [seq for seq, _ in rows] == list(range(1, last + 1))
    assert [kind for _, kind in rows] == [int(facts.decode(body).type) for body in bodies]
    # Strangers' codes are counted in memory for a second before they are written: a kill may lose such a count.
    signed = [stated for stated in map(facts.decode, bodies) if stated.type is EntryType.SCAN and stated.issuer]
    assert len(signed) == sum(shown.total() for group, shown in site.shown.items() if group != "a stranger's code")
    report = inspection.inspect(hub.store)
    assert (report.entries, list(report.problems)) == (last, [])


def check_trust_is_fresh_again(site: Site) -> None:
    """What was revoked in the meantime is refused from the refresh on, and long-lived passes pass again."""
    site.revoke(site.later)
    site.show("revoked meanwhile, not known yet", site.later)
    publish(site.authority, site.true_s)
    site.refresh()
    site.kill()
    site.show("revoked meanwhile", site.later)
    site.show("long-lived, trust fresh again", site.kept)

    assert set(site.shown["revoked meanwhile, not known yet"]) == {("refer", "status.stale")}
    assert set(site.shown["revoked meanwhile"]) == {("reject", "status.revoked")}
    assert set(site.shown["long-lived, trust fresh again"]) == {("accept", "ok")}
    trust = site.trusted.snapshot
    assert trust is not None
    assert trust.band(site.clock.moment(trust).unix_s) is Band.FRESH
