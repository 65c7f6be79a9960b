"""One site for two weeks: a real authority, a real hub and one real gate on a machine whose clocks are driven."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from edge.authority import issuers, profiles
from edge.authority.authority import init
from edge.authority.issue import Desk as Issuing
from edge.authority.issue import PassRequest
from edge.authority.ledger import Index
from edge.authority.publish import publish
from edge.authority.revocation import set_status
from edge.gate.formats import load_formats
from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.gate.sunset import Sunset
from edge.gate.upkeep import Upkeep
from edge.hub import desk, folder
from edge.hub.desk import Desk
from edge.hub.folder import HubConfig
from edge.hub.hub import Hub
from edge.hub.roster import Place as Lane
from edge.identity.daykeys import load_day_keys
from edge.identity.identity import identify, load_enrolment
from edge.ledger.enrolment import open_invitation
from edge.model.moment import ClockQuality
from edge.model.symbol import Symbol
from edge.model.trust import Status
from edge.policy.decide import Place
from edge.provision.enrol import enrol
from edge.scanlog.log import ScanLog
from edge.sync.transports.http import HttpTransport
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.hub_gates import Clock as HubClock
from tests.simulators.hub_server import serving
from tests.simulators.machine import Machine

START = 1_795_000_000
DAY, HOUR = 86_400, 3600
DAYS = 14
PEOPLE = 5
"""New people an hour, each with a short-lived pass of his own."""
NOON = 11
UPKEEP_HOURS = 6


class Site:
    """Authority, hub and one gate, each in its own folder.

    Args:
        path: Where they are.
        machine: The gate's clocks.
    """

    def __init__(self, path: Path, machine: Machine) -> None:
        self.path, self.machine = path, machine
        self.true_s = START
        self.random = random.Random(14)
        self.authority = init(path / "authority", START)
        for profile in profiles.profiles():
            issuers.add_issuer(self.authority, profile, START, valid_from=START - 30 * DAY)
        self.issuing = Issuing(self.authority)
        self.places: dict[bytes, Index] = {}
        self.revoked, self.kept, self.later = (self.code(START, 29 * DAY) for _ in range(3))
        self.revoke(self.revoked)
        publish(self.authority, START)
        self.hub_clock = HubClock(START * 1000)
        root = self.authority.publication / "metadata" / "1.root.json"
        config = HubConfig("http://127.0.0.1:8090", trust_url="", region=440106)
        desk.begin(path / "hub", config, root=folder.checked_root(root), clock=self.hub_clock)
        self.state = path / "state"
        self.shown: dict[str, Counter[tuple[str, str]]] = {}
        self.qualities: set[ClockQuality] = set()

    # Passes

    def code(self, issued_at: int, valid_s: int) -> bytes:
        """Issue a pass as the region does."""
        request = PassRequest("44", issued_at, region=440106, surname="张", id_tail="3416", valid_s=valid_s)
        issued = self.issuing.issue(request)
        code = issued.code.encode()
        assert issued.place is not None
        self.places[code] = issued.place
        return code

    def revoke(self, code: bytes) -> None:
        """Withdraw a pass at the authority."""
        place = self.places[code]
        set_status(self.authority, "44", place.index, Status.INVALID, self.true_s, number=place.number)

    # The gate

    def enrol(self, hub: Hub) -> None:
        """Enrol the gate over HTTP and fetch its trust, all on day 0."""
        code = Desk(hub.home.path, clock=self.hub_clock).invite(Lane("北站", "3", 440106), 24).code
        invitation = open_invitation(code.encode())
        with serving(hub) as url:
            enrol(self.state, invitation, lambda: START * 1000, connect=lambda _: HttpTransport(url, 10))
        self.refresh()

    def refresh(self) -> None:
        """Bring trust to the gate."""
        TrustStore(self.state / "trust").refresh(FolderFetcher(self.authority.publication), self.true_s)

    def start(self) -> None:
        """Start the gate as a new process does."""
        self.log = ScanLog.open(self.state / "scans.db")
        self.clock = self.machine.clock(self.state)
        self.trusted = Trusted(TrustStore(self.state / "trust").load())
        self.memory = Memory(load_day_keys(self.state), self.state, window_s=300)
        moment = self.clock.moment(self.trusted.snapshot)
        self.memory.recall(self.log.recent_tokens(max(0, moment.unix_ms - DAY * 1000)))
        self.events: list[dict[str, Any]] = []
        enrolment = load_enrolment(self.state)
        assert enrolment is not None
        self.line = Line(
            formats=load_formats(),
            place=Place(enrolment.region),
            log=self.log,
            memory=self.memory,
            trusted=self.trusted,
            clock=self.clock,
            publish=self.events.append,
            hub_keys=enrolment.hub_keys,
        )
        self.upkeep = Upkeep(self.log, self.state / "sync.db", identify(self.state))
        self.sunset = Sunset(self.state, self.log, self.memory, enrolment=enrolment, record=self.line.staff)

    def kill(self) -> None:
        """End the gate without a word."""
        self.log.close()
        self.start()

    def show(self, group: str, code: bytes) -> None:
        """Hold a code up and note the answer."""
        self.line.present([Symbol(code)])
        answer = self.events[-1]["outcome"], self.events[-1]["reason"]
        self.shown.setdefault(group, Counter())[answer] += 1

    def pass_s(self, seconds: int) -> None:
        """Let time go by everywhere."""
        self.true_s += seconds
        self.machine.pass_s(seconds)
        self.hub_clock.pass_s(seconds)

    # Two weeks

    def hour(self, day: int, hour: int) -> None:
        """Let an hour's people through, and every third hour those whose answer is known beforehand."""
        code = b""
        for _ in range(PEOPLE):
            code = self.code(self.true_s - self.random.randrange(60, DAY - HOUR), DAY)
            self.show("short-lived" if day < DAYS - 1 else "short-lived, day 14", code)
            self.pass_s(HOUR // PEOPLE)
        if hour % 3 == 0:
            self.known_beforehand(day, code)
        self.rest()

    def known_beforehand(self, day: int, code: bytes) -> None:
        """Show the last person's pass again, and passes that are expired, revoked, long-lived or none."""
        self.show("shown again after twelve minutes", code)
        self.show("shown again at once", code)
        self.show("expired", self.code(self.true_s - 4 * DAY, DAY))
        self.show("revoked", self.revoked)
        # On the second day a gate without a clock may be hours behind, and its trust still fresh to it.
        age = {0: "fresh", 1: "a day old"}.get(day, "stale")
        self.show(f"long-lived, trust {age}", self.kept)
        self.show("a stranger's code", f"https://example.com/{self.true_s}".encode())

    def rest(self) -> None:
        """Do what a gate does while nobody stands there."""
        trust = self.trusted.snapshot
        moment = self.clock.moment(trust)
        self.qualities.add(moment.quality)
        self.line.rest()
        if self.true_s // HOUR % UPKEEP_HOURS == 0:
            # Each erases tokens and lays the write-ahead log out anew: a megabyte for the card.
            self.upkeep.tend_now(trust, moment)
        self.sunset.tend(trust, self.clock.sure_ms(trust), moment)
        self.clock.keep_if_due()

    def night(self, wakes_at: str) -> None:
        """Cut the power for an hour and boot with what the machine then has for a clock."""
        self.log.close()
        before_s = self.machine.system_ms // 1000
        self.true_s += HOUR
        self.hub_clock.pass_s(HOUR)
        wakes = {"battery": self.true_s, "saved": before_s, "none": 0}[wakes_at]
        self.machine.cut_power(HOUR, wakes_at=wakes)
        self.start()

    def fortnight(self, wakes_at: str) -> None:
        """Stay away from every network for two weeks."""
        for day in range(DAYS):
            for hour in range(23):
                self.hour(day, hour)
                if hour == NOON:
                    self.kill()
            self.night(wakes_at)
