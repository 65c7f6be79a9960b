"""The straight line: recorded, then shown; what cannot be recorded is never green."""

import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from edge.errors import LogUnwritable
from edge.gate.admissions import WITHIN_S, Admissions
from edge.gate.clock import Clock
from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.identity.daykeys import load_day_keys, save_day_keys
from edge.ledger import facts
from edge.ledger.tokens import DayKey, token
from edge.model.moment import ClockQuality
from edge.model.scan import NOT_SHOWN, RESUMED, EntryType, Facts
from edge.model.symbol import Symbol
from edge.scanlog.log import ScanLog
from tests.simulators import world
from tests.simulators.world import NOW, at, make_pass, person

SECRET = "9f3a6c"


class Fixed(Clock):
    """A clock a test sets."""

    def __init__(self, moment=None):
        super().__init__()
        self.now = moment or at(NOW)

    def moment(self, trust):
        return self.now


class Recorder:
    """Listens like the page and notes, at each event, what the disk held by then."""

    def __init__(self, path):
        self.path = path
        self.events = []
        self.durable_at = []

    def __call__(self, event):
        self.events.append(event)
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as other:
            self.durable_at.append(other.execute("SELECT max(seq) FROM scan").fetchone()[0] or 0)


class Gate:
    """A line over a real log."""

    def __init__(self, folder, trust=world.TRUST):
        self.path = folder / "scans.db"
        self.log = ScanLog.open(self.path)
        self.heard = Recorder(self.path)
        self.clock = Fixed()
        self.memory = Memory((DayKey(NOW // 86_400, bytes(32)),), folder, window_s=300)
        self.trusted = Trusted(trust)
        self.line = Line(
            formats=world.FORMATS,
            place=world.PLACE,
            log=self.log,
            memory=self.memory,
            trusted=self.trusted,
            clock=self.clock,
            publish=self.heard,
        )

    def show(self, *codes):
        self.line.present([Symbol(code, taken_ns=time.monotonic_ns()) for code in codes])
        return [(event["outcome"], event["reason"]) for event in self.heard.events[-len(codes) :]]

    def facts(self):
        return [facts.decode(entry.body) for entry in self.log.entries(1, 1000)]


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path)
    yield made
    made.log.close()


def test_law_3_an_accept_is_on_disk_before_anybody_hears_of_it(gate):
    """Another connection finds the entry at the moment the event is published."""
    for code in (make_pass(), make_pass(person(status=1)), make_pass(person(status=10))):
        gate.show(code)

    assert gate.heard.durable_at == [event["seq"] for event in gate.heard.events] == [1, 2, 3]
    assert all(event["recorded"] for event in gate.heard.events)


class FullDisk:
    """A log whose disk is full for a while."""

    def __init__(self, log):
        self.real = log
        self.is_full = True

    def append(self, *args, **options):
        if self.is_full:
            raise LogUnwritable("the disk is full")
        return self.real.append(*args, **options)

    def __getattr__(self, name):
        return getattr(self.real, name)


def test_law_3_what_cannot_be_recorded_is_never_an_accept(gate):
    """A full disk refers the valid and still refuses the rest; admission comes back with the disk."""
    full = FullDisk(gate.log)
    gate.line._log = full

    assert gate.show(make_pass()) == [("refer", "log.unwritable")]
    assert gate.show(make_pass(person(status=10))) == [("reject", "health.red")]
    assert [finding.code for finding in gate.line.findings()] == ["log.unwritable"]
    assert not any(event["recorded"] for event in gate.heard.events)

    full.is_full = False
    gate.line.rest()

    assert gate.line.findings() == []
    assert [entry.note for entry in gate.facts()] == [RESUMED]
    assert gate.show(make_pass()) == [("accept", "ok")]


def test_a_log_on_a_disk_that_was_mounted_again_is_taken_up_without_a_restart(tmp_path):
    """Nobody is admitted until then; a disk that is another one changes nothing, however often it is tried."""
    folder = tmp_path / "state"
    folder.mkdir()
    gate = Gate(folder)
    assert gate.show(make_pass()) == [("accept", "ok")]
    folder.rename(tmp_path / "pulled out")
    folder.mkdir()
    for _ in range(3):
        gate.line.rest()
        assert not gate.line.is_recording
        assert [finding.code for finding in gate.line.findings()] == ["log.unwritable"]
    folder.rmdir()
    shutil.copytree(tmp_path / "pulled out", folder)

    gate.line._reopen_at = 0.0
    gate.line.rest()
    gate.line.rest()

    assert gate.line.findings() == []
    assert gate.show(make_pass(person(index=31))) == [("accept", "ok")]
    assert [entry.note for entry in gate.facts()] == ["", RESUMED, ""]
    gate.log.close()


def test_the_log_states_the_prefecture_and_the_page_the_county(gate):
    """What an entry says of the area is not what makes somebody alone of his status."""
    gate.show(make_pass(person(region=440106)))

    assert [entry.region for entry in gate.facts()] == [440100]
    assert gate.heard.events[-1]["outcome"] == "accept"


def test_a_repeated_pass_is_referred_and_only_within_the_window(gate):
    """The second showing is looked at; after the policy's window it passes again."""
    code = make_pass()

    assert gate.show(code) == [("accept", "ok")]
    gate.clock.now = at(NOW + 200)
    assert gate.show(code) == [("refer", "repeat.recent")]
    assert gate.heard.events[-1]["details"] == {"ago_s": 200}
    gate.clock.now = at(NOW + 301)
    assert gate.show(code) == [("accept", "ok")]


def test_law_4_another_encoding_of_the_same_signed_bytes_is_a_repetition(gate):
    """The repeat rule knows credentials by the signed bytes: a re-signed twin is the same person again."""
    code = make_pass()
    gate.show(code)
    seen = gate.memory.seen(world.FORMATS[0].parse(code).identity, at(NOW + 5))

    assert seen.ago_s == 5


def test_a_pass_nobody_was_shown_green_for_passes_again_once(gate):
    """What was taken back is no repetition; the second green is an admission like any other."""
    code = make_pass()
    gate.show(code)
    gate.clock.now = at(NOW + 8)

    assert gate.line.take_back(1) == 2
    assert gate.facts()[1] == replace(
        Facts(EntryType.NOTE, (NOW + 8) * 1000, refers_to=1, note=NOT_SHOWN), trust_version=9, policy_version=3
    )
    assert gate.show(code) == [("accept", "ok")]
    assert gate.show(code) == [("refer", "repeat.recent")]


def test_taking_back_twice_is_taking_back_once(gate):
    """Asked again, also after the pass was admitted anew, the gate names the same entry and forgets nothing more."""
    code = make_pass()
    gate.show(code)

    assert [gate.line.take_back(1), gate.line.take_back(1)] == [2, 2]
    assert gate.show(code) == [("accept", "ok")]
    assert gate.line.take_back(1) == 2
    assert gate.show(code) == [("refer", "repeat.recent")]
    assert [entry.type for entry in gate.facts()].count(EntryType.NOTE) == 1


@pytest.mark.parametrize("seq", [0, -1, 1, 2, 3, 99])
def test_only_an_accept_is_taken_back(gate, seq):
    """Neither a reject, a refer, a note nor what is not there."""
    gate.show(make_pass(person(status=10)))
    gate.show(make_pass(person(status=1)))
    gate.line.staff(Facts(EntryType.NOTE, 0, refers_to=1, note="other"))

    assert gate.line.take_back(seq) is None
    assert gate.log.head.seq == 3


def test_an_accept_is_taken_back_within_half_a_minute(gate):
    """A pass that went through long ago stays a repetition, whatever a page says."""
    seconds = [0.0]
    gate.line._admissions = Admissions(lambda: seconds[0])
    first, second = make_pass(person(index=1)), make_pass(person(index=2))
    gate.show(first)
    gate.show(second)
    seconds[0] = WITHIN_S

    assert gate.line.take_back(1) == 3
    seconds[0] += 0.001
    assert gate.line.take_back(2) is None
    assert gate.show(second) == [("refer", "repeat.recent")]


def test_what_cannot_be_recorded_is_not_taken_back(gate):
    """On a full disk the admission stands; with room again it can be taken back."""
    code = make_pass()
    gate.show(code)
    full = FullDisk(gate.log)
    gate.line._log = full
    with pytest.raises(LogUnwritable):
        gate.line.take_back(1)
    full.is_full = False

    assert gate.show(code) == [("refer", "repeat.recent")]
    assert gate.line.take_back(1) == 3
    assert gate.show(code) == [("accept", "ok")]


def test_a_later_admission_of_the_same_pass_stands(gate):
    """Outside the repeat window a pass is admitted anew: taking back the first leaves the second alone."""
    code = make_pass()
    gate.show(code)
    gate.clock.now = at(NOW + 301)
    gate.show(code)

    assert gate.line.take_back(1) == 3
    assert gate.show(code) == [("refer", "repeat.recent")]


def test_a_restart_does_not_bring_back_what_was_taken_back(gate, tmp_path):
    """The note in the log says so; what was admitted after it is remembered, and nothing can be taken back any more."""
    late, shown = make_pass(person(index=1)), make_pass(person(index=2))
    gate.show(late)
    gate.show(shown)
    gate.line.take_back(1)
    gate.log.close()
    again = Gate(tmp_path)
    again.memory.recall(again.log.recent_tokens((NOW - 300) * 1000))

    assert again.line.take_back(2) is None
    assert again.show(shown) == [("refer", "repeat.recent")]
    assert again.show(late) == [("accept", "ok")]
    assert again.show(late) == [("refer", "repeat.recent")]
    again.log.close()


def test_a_pass_taken_back_across_midnight_passes_again(gate):
    """Admitted under yesterday's key, let go and shown again under today's."""
    midnight = (NOW // 86_400 + 1) * 86_400
    code = make_pass(validity=(midnight - 1000, midnight + 1000))
    gate.clock.now = at(midnight - 5)
    gate.show(code)
    gate.clock.now = at(midnight + 5)
    gate.line.take_back(1)

    assert gate.show(code) == [("accept", "ok")]


def test_admissions_that_can_be_taken_back_are_bounded(gate):
    """A day of people takes the memory of half a minute."""
    admissions = Admissions()
    for seq in range(1, 10_000):
        admissions.add(seq, bytes(8), at(NOW))

    assert len(admissions._by_seq) == 256
    assert admissions.find(9999) is not None
    assert admissions.find(1) is None


def test_the_repeat_rule_holds_across_midnight(gate):
    """A pass admitted a minute before midnight is a repetition a minute after, under another day's key."""
    midnight = (NOW // 86_400 + 1) * 86_400
    code = make_pass(validity=(midnight - 1000, midnight + 1000))
    gate.clock.now = at(midnight - 60)
    gate.show(code)
    gate.clock.now = at(midnight + 60)

    assert gate.show(code) == [("refer", "repeat.recent")]


def test_a_restart_remembers_who_was_admitted(gate, tmp_path):
    """Tokens come back from the log."""
    code = make_pass()
    gate.show(code)
    memory = Memory((DayKey(NOW // 86_400, bytes(32)),), tmp_path / "again", window_s=300)
    memory.recall(gate.log.recent_tokens((NOW - 300) * 1000))

    assert memory.seen(world.FORMATS[0].parse(code).identity, at(NOW + 9)) is not None


def test_two_days_tokens_of_one_pass_differ(gate):
    """A day's token says nothing about the next day's."""
    identity = world.FORMATS[0].parse(make_pass()).identity
    today = gate.memory.token(identity, at(NOW))
    tomorrow = gate.memory.token(identity, at(NOW + 86_400))

    assert today != tomorrow


def test_the_day_keys_survive_a_restart_across_midnight(gate, tmp_path):
    """A restart a minute after midnight still knows who was admitted a minute before."""
    midnight = (NOW // 86_400 + 1) * 86_400
    code = make_pass(validity=(midnight - 1000, midnight + 1000))
    gate.clock.now = at(midnight - 60)
    gate.show(code)
    gate.memory.token(b"anybody", at(midnight + 30))
    again = Memory(load_day_keys(tmp_path), tmp_path, window_s=300)
    again.recall(gate.log.recent_tokens((midnight - 300) * 1000))

    assert again.seen(world.FORMATS[0].parse(code).identity, at(midnight + 60)).ago_s == 120


def test_yesterdays_key_is_gone_once_the_window_has_closed(gate, tmp_path):
    """Neither memory nor file can try yesterday's tokens any more."""
    midnight = (NOW // 86_400 + 1) * 86_400
    gate.memory.token(b"anybody", at(midnight + 30))
    assert len(load_day_keys(tmp_path)) == 2
    gate.memory.token(b"anybody", at(midnight + 301))

    assert [key.day for key in load_day_keys(tmp_path)] == [midnight // 86_400]


def test_a_clock_years_ahead_does_not_use_up_the_days_keys(gate):
    """A doubted moment turns no key; afterwards today's token is today's again."""
    before = gate.memory.token(b"anybody", at(NOW))
    gate.memory.token(b"anybody", at(NOW + 3650 * 86_400, ClockQuality.DOUBTFUL))

    assert gate.memory.token(b"anybody", at(NOW)) == before


def test_a_new_enrolments_keys_are_taken_up_without_a_restart(gate, tmp_path):
    """What provisioning writes is used from the next rest on; a damaged file changes nothing."""
    seed = DayKey(NOW // 86_400, b"r" * 32)
    save_day_keys(tmp_path, (seed,))
    gate.memory.take_up_new_keys()

    assert gate.memory.token(b"anybody", at(NOW)) == token(seed, b"anybody")
    (tmp_path / "token.key").write_bytes(b"short")
    gate.memory.take_up_new_keys()
    assert gate.memory.token(b"anybody", at(NOW)) == token(seed, b"anybody")


def test_a_green_beside_a_red_is_never_green(gate):
    """Fresh in one frame, or put beside a red that is still held up; alone it passes at once."""
    red, good, other = Symbol(make_pass(person(status=10))), Symbol(make_pass()), Symbol(make_pass(person(index=31)))
    gate.line.present([red, good], [red, good])
    assert [event["reason"] for event in gate.heard.events] == ["health.red", "presentation.several"]
    gate.line.present([], [red])
    gate.line.present([other], [red, other])
    assert gate.heard.events[-1]["reason"] == "presentation.several"

    assert gate.show(good.raw) == [("accept", "ok")]


def test_two_greens_in_one_frame_are_both_admitted(gate):
    """Two honest people at once."""
    assert gate.show(make_pass(person(index=41)), make_pass(person(index=42))) == [("accept", "ok")] * 2


def test_the_codes_of_one_frame_share_one_commit(gate):
    """Group commit of whatever waits: three people held up at once cost one sync."""
    said = []
    gate.log._db.conn.set_trace_callback(said.append)
    gate.show(*(make_pass(person(index=index)) for index in (51, 52, 53)))
    gate.log._db.conn.set_trace_callback(None)

    assert [word for word in said if word.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert sum(word.startswith("INSERT") for word in said) == 3
    assert gate.heard.durable_at == [3, 3, 3]
    assert [event["seq"] for event in gate.heard.events] == [1, 2, 3]


class FailsAt:
    """A log whose disk takes some appends of a commit and not the next."""

    def __init__(self, log, nth):
        self.real, self.left = log, nth

    def append(self, *args, **options):
        self.left -= 1
        if not self.left:
            raise LogUnwritable("the disk is full")
        return self.real.append(*args, **options)

    def __getattr__(self, name):
        return getattr(self.real, name)


def test_a_commit_that_fails_admits_none_of_the_frame(gate):
    """All or none: who was the first of two is not admitted by half a commit, and passes when the disk is well."""
    codes = [make_pass(person(index=61)), make_pass(person(index=62))]
    gate.line._log = FailsAt(gate.log, 2)

    assert gate.show(*codes) == [("refer", "log.unwritable")] * 2
    assert gate.facts() == []

    gate.line._log = gate.log
    assert gate.show(*codes) == [("accept", "ok")] * 2
    assert [event["seq"] for event in gate.heard.events[-2:]] == [1, 2]


def test_a_commit_that_fails_loses_no_count(gate):
    """Two strangers' codes of one frame are counted again and written down when the disk is well."""
    gate.line._log = FailsAt(gate.log, 2)
    gate.show(b"https://example.com/1", b"https://example.com/2")
    assert gate.facts() == []

    gate.line._log = gate.log
    gate.line.end()
    assert sum(entry.count for entry in gate.facts()) == 2


def test_a_code_that_is_only_counted_proves_nothing_about_the_disk(gate):
    """While the disk is full a flood of strangers' codes does not report it well."""
    full = FullDisk(gate.log)
    gate.line._log = full
    gate.show(make_pass())
    for number in range(30):
        gate.show(b"https://example.com/%d" % number)

    assert [finding.code for finding in gate.line.findings()] == ["log.unwritable"]


def test_strangers_codes_are_counted_not_written_one_by_one(gate):
    """Four hundred foreign codes in a moment make a handful of entries that count them all."""
    for number in range(400):
        gate.show(b"https://example.com/%d" % number)
    gate.line.end()
    written = gate.facts()

    assert len(written) <= 13
    assert sum(entry.count for entry in written) == 400
    assert written[-1].type is EntryType.UNKNOWN_CODES


def test_a_flood_delays_no_valid_pass(gate):
    """Between strangers' codes a valid pass is recorded at once, in its own entry."""
    for number in range(50):
        gate.show(b"nonsense %d" % number)
    before = gate.log.head.seq

    assert gate.show(make_pass()) == [("accept", "ok")]
    assert gate.log.head.seq == before + 1


def test_the_log_holds_nothing_personal(gate):
    """Surname, name, ID tail, pseudonym, index and the code itself are nowhere in the files."""
    claims = person(
        surname="欧阳娜娜", name="欧阳*娜", id_tail="9XQ7", pseudonym=bytes.fromhex(SECRET * 2), index=0xABCDEF
    )
    code = make_pass(claims)
    gate.show(code)
    gate.show(b"https://example.com/" + SECRET.encode())
    gate.log.checkpoint()
    stored = b"".join(path.read_bytes() for path in gate.path.parent.glob("scans.db*"))

    for planted in (
        "欧阳娜娜".encode(),
        "欧阳*娜".encode(),
        b"9XQ7",
        bytes.fromhex(SECRET * 2),
        b"\xab\xcd\xef",
        code,
        SECRET.encode(),
    ):
        assert planted not in stored


def test_a_reject_shows_nothing_personal_and_a_forgery_nothing_at_all(gate):
    """Holder fields leave the line only for an authentic accept or refer."""
    forged = make_pass(key=world.SigningKey(bytes(32)))
    for code in (make_pass(person(status=10)), forged, make_pass()):
        gate.show(code)
    red, fake, good = gate.heard.events

    assert red["holder"] is None
    assert (fake["holder"], fake["status"], fake["region"]) == (None, None, 0)
    assert good["holder"] == {"surname": "张", "name": "张*伟", "birth_year": 1988, "id_tail": "3416"}


def test_every_entry_names_the_policy_trust_and_clock_it_was_made_under(gate):
    """Versions and clock quality stand in the log."""
    gate.clock.now = at(NOW, ClockQuality.RTC)
    gate.show(make_pass())
    entry = gate.facts()[0]

    assert (entry.policy_version, entry.trust_version, entry.quality) == (3, 9, 2)


def test_new_trust_counts_from_the_next_symbol_on(gate):
    """The watcher swaps the snapshot whole; the running line uses it at once."""
    code = make_pass(person(index=9))
    revoking = bytearray(world.status_list().entries)
    revoking[9 // 4] |= 1 << 2 * (9 % 4)
    lists = {("44", 1): replace(world.status_list(), entries=bytes(revoking))}

    assert gate.show(code) == [("accept", "ok")]
    gate.trusted.snapshot = replace(world.TRUST, status_lists=lists)
    assert gate.show(code) == [("reject", "status.revoked")]


def test_staff_entries_refer_to_the_entry_they_are_about(gate):
    """A note is an entry of its own."""
    gate.show(make_pass())
    written = gate.line.staff(Facts(EntryType.NOTE, 0, refers_to=1, note="document_checked"))

    assert written == 2
    assert gate.facts()[1] == replace(
        Facts(EntryType.NOTE, NOW * 1000, refers_to=1, note="document_checked"), trust_version=9, policy_version=3
    )


def test_a_disk_that_is_really_full_stops_admission_and_loses_nothing(tmp_path):
    """On a file system without room the valid are referred; with room again they pass, and the chain holds."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        gate = Gate(small)
        gate.show(make_pass())
        with (small / "filling").open("wb", buffering=0) as filling:
            try:
                while True:
                    filling.write(bytes(4096))
            except OSError:
                pass
        outcomes = {gate.show(make_pass(person(index=100 + n)))[0] for n in range(3000)}
        (small / "filling").unlink()
        gate.line.rest()

        assert outcomes <= {("accept", "ok"), ("refer", "log.unwritable")}
        assert ("refer", "log.unwritable") in outcomes
        assert gate.show(make_pass(person(index=99))) == [("accept", "ok")]
        gate.log.verify()
        gate.log.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_line_runs_in_one_thread_while_readers_look_on(gate):
    """A reader in another thread never makes an append fail."""
    stop = threading.Event()

    def look():
        while not stop.is_set():
            with closing(sqlite3.connect(f"file:{gate.path}?mode=ro", uri=True)) as other:
                other.execute("SELECT count(*) FROM scan").fetchone()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        outcomes = [gate.show(make_pass(person(index=500 + number)))[0] for number in range(60)]
    finally:
        stop.set()
        reader.join()

    assert outcomes == [("accept", "ok")] * 60


def test_a_policy_that_follows_takes_over_at_its_second_without_a_network(gate):
    """The same line, the same publication: event and entry record the version each verdict was made under."""
    following = replace(world.POLICY, version=4, effective_at=NOW + 600, repeat_window_s=0)
    gate.trusted.snapshot = replace(world.TRUST, successor=replace(world.TRUST, policy=following))
    code = make_pass()
    for second in (0, 599, 600):
        gate.clock.now = at(NOW + second)
        gate.show(code)

    assert [event["policy_version"] for event in gate.heard.events] == [3, 3, 4]
    assert [entry.policy_version for entry in gate.facts()] == [3, 3, 4]
