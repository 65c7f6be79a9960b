"""Hand scanners: keys and serial bytes become codes exactly, or are dropped and said."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import SourceError
from edge.model.finding import Finding, Severity
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol
from edge.scanner.handover import MAX_RAW
from edge.scanner.scanner import Scanner
from edge.scanner.slots import Slots
from edge.scanner.sources import hid, serial, stdin
from edge.scanner.sources._codes import BURST, Codes, Rules
from edge.scanner.sources._keys import LAYOUTS, SPOILT, Keys, typed
from edge.scanner.sources._options import split_options
from edge.scanner.sources.base import Frame
from tests.simulators.hand_scanner import EV_KEY, EV_SYN, EVENT, HandScanner, accept_grab, event, keys

SETTINGS = ScannerSettings()
SECOND = 1_000_000_000
LINE = Rules("serial", b"\r\n\x03", pause_ns=SECOND // 5)
PASS = "HP1:6BF*70T90 TESTING$%+-./:Z"


def _codes(rules: Rules, *sent: tuple[bytes, int]) -> tuple[list[bytes], list[Finding]]:
    """Feed bytes at moments in milliseconds; return the codes and what was said."""
    codes, found, said = Codes(rules, 0), [], []
    for data, at_ms in sent:
        codes.feed(data, at_ms * 1_000_000)
        while codes.is_waiting:
            frame = codes.frame(at_ms * 1_000_000)
            found += [symbol.raw for symbol in frame.symbols or ()]
            said += frame.notes
    said += codes.frame(0).notes
    return found, said


class TestCodes:
    """Where a code ends and what is not believed, from bytes alone."""

    @pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\x03", b"\r\n\x03"])
    def test_every_end_a_scanner_sends_ends_one_code(self, end: bytes):
        """CR, LF, both and ETX end a code, and no end makes an empty one."""
        assert _codes(LINE, (b"ONE" + end + b"TWO" + end, 0)) == ([b"ONE", b"TWO"], [])

    def test_a_code_cut_by_the_line_is_put_together(self):
        """However the bytes arrive, the code is one."""
        parts = [(bytes([byte]), at) for at, byte in enumerate(b"\x02CUT UP\r")]

        assert _codes(LINE, *parts) == ([b"CUT UP"], [])

    def test_a_pause_in_the_middle_drops_the_first_part_and_says_so(self):
        """What was sent before a pause is no code, and what comes after is not glued to it."""
        found, said = _codes(LINE, (b"BROKEN", 0), (b"WHOLE\r", 500))

        assert found == [b"WHOLE"]
        assert [(note.code, note.params) for note in said] == [("hand_scanner.dropped", {"count": 1})]

    def test_a_pause_ends_a_code_where_it_is_told_to(self):
        """Without ends, bytes of any kind up to a pause are one code, exactly."""
        rules = replace(LINE, ends=b"", ends_at_pause=True, is_text=False)

        assert _codes(rules, (b"\x00\r\xff", 0), (b"\x02\n", 50), (b"NEXT", 500)) == ([b"\x00\r\xff\x02\n"], [])

    @pytest.mark.parametrize("length", [MAX_RAW, MAX_RAW + 1, 300_000])
    def test_what_no_code_can_hold_is_dropped_in_bounded_memory(self, length: int):
        """The largest QR code's characters are a code, one more is none, and the next code is read."""
        codes = Codes(LINE, 0)
        for _ in range(length):
            codes.feed(b"7", 0)
        held = len(codes._open)
        codes.feed(b"\rNEXT\r", 0)
        found = [symbol.raw for _ in range(2) for symbol in codes.frame(0).symbols or ()]

        assert held <= MAX_RAW
        assert found == ([b"7" * length, b"NEXT"] if length <= MAX_RAW else [b"NEXT"])

    @pytest.mark.parametrize("junk", [b"\x80\xff\xfe", b"A\x00B", b"\x1b[31m", b"pr\xe9", b"\xed\xa0\x80"])
    def test_junk_on_a_text_line_is_dropped(self, junk: bytes):
        """What is no printable UTF-8 comes of a wrong baud rate or cable, not of a pass."""
        found, said = _codes(LINE, (junk + b"\r" + "中文\x1dGS".encode() + b"\r", 0))

        assert found == ["中文\x1dGS".encode()]
        assert [note.code for note in said] == ["hand_scanner.dropped"]

    def test_a_storm_of_codes_is_held_to_what_a_hand_can_do(self):
        """A thousand codes in a second are a handful and a finding; a minute later all is well."""
        storm = [(b"CODE %d\r" % number, number) for number in range(1000)]
        found, said = _codes(LINE, *storm, (b"AFTER\r", 60_000))

        assert len(found) - 1 <= BURST + 4
        assert found[-1] == b"AFTER"
        assert "hand_scanner.flood" in {note.code for note in said}

    def test_a_code_every_second_is_never_a_storm(self):
        """A busy lane loses nobody."""
        lane = [(b"PERSON %d\r" % number, 1000 * number) for number in range(500)]

        assert _codes(LINE, *lane) == ([b"PERSON %d" % number for number in range(500)], [])

    def test_random_bytes_raise_nothing(self):
        """Whatever is sent, codes come out or nothing does."""
        chance = random.Random(5)
        for rules in (LINE, replace(LINE, ends=b"", ends_at_pause=True, is_text=False)):
            sent = [(chance.randbytes(chance.randrange(200)), at * 40) for at in range(2000)]
            found, _ = _codes(rules, *sent)

            assert all(0 < len(code) <= MAX_RAW for code in found)

    def test_a_symbol_names_its_source_and_kind(self):
        """A code carries the number of its source, the kind that read it and its moment."""
        codes = Codes(LINE, 4)
        codes.feed(b"X\r", 7)

        assert codes.frame(9) == Frame(7, 4, symbols=(Symbol(b"X", engine="serial", source=4, taken_ns=7),))


class TestKeys:
    """Positions of keys to characters."""

    @staticmethod
    def _read(events: Iterator[tuple[int, int]], layout: str) -> bytes:
        table = Keys(layout)
        return b"".join((table.press(code) if value else table.release(code)) or b"" for code, value in events)

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_every_character_of_a_layout_is_read_as_it_was_typed(self, layout: str):
        """Each key of the table, plain, shifted and with AltGr, gives its own character."""
        text = "".join(dict.fromkeys(char for table in LAYOUTS[layout] for char in table.values()))

        assert self._read(typed(text, layout), layout) == text.encode()

    def test_the_us_layout_has_all_of_printable_ascii(self):
        """A scanner as delivered can send every printable ASCII character."""
        printable = "".join(map(chr, range(32, 127)))

        assert self._read(typed(printable), "us") == printable.encode()

    def test_a_wrong_layout_would_garble(self):
        """The table matters: Y typed by a German set-up is Z on the American table."""
        assert self._read(typed("YZ", "de"), "us") == b"ZY"

    def test_caps_lock_turns_letters_and_nothing_else(self):
        """A scanner that works by caps lock sends capital letters, and digits stay digits."""
        table = Keys("us")

        assert [table.press(code) for code in (58, 30, 2, 58, 30)] == [b"", b"A", b"1", b"", b"a"]

    @pytest.mark.parametrize(("number", "raw"), [("228", b"\xe4"), ("0065", b"A"), ("20013", "中".encode())])
    def test_alt_and_a_number_is_a_byte_or_a_character(self, number: str, raw: bytes):
        """Numbers up to 255 on the keypad are bytes, above it characters."""
        pad = {digit: code for code, digit in zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True)}
        events = [(56, 1), *[(pad[digit], value) for digit in number for value in (1, 0)], (56, 0)]

        assert self._read(iter(events), "us") == raw

    @pytest.mark.parametrize("number", ["9999999", "1114112", "55296"])
    def test_a_number_of_no_character_is_spoilt(self, number: str):
        """A number above Unicode, or of a surrogate, is no character."""
        table = Keys("us")
        pad = {digit: code for code, digit in zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True)}
        table.press(56)
        for digit in number:
            table.press(pad[digit])

        assert table.release(56) is SPOILT

    def test_ctrl_and_a_bracket_is_the_group_separator(self):
        """Control characters come as Ctrl and a key."""
        table = Keys("us")
        table.press(29)

        assert table.press(27) == b"\x1d"

    def test_every_key_of_every_state_is_an_answer(self):
        """All key numbers under all modifiers, pressed and let go, give bytes or are spoilt."""
        for layout in LAYOUTS:
            for held in (None, 42, 29, 56, 100, 58):
                for code in range(768):
                    table = Keys(layout)
                    if held:
                        table.press(held)
                    given = [table.press(code), table.release(code), table.release(held or 0)]

                    assert all(one is SPOILT or isinstance(one, bytes) for one in given)


@contextmanager
def _keyboard(path: Path, monkeypatch: pytest.MonkeyPatch, options: str = "") -> Iterator[tuple[HandScanner, Callable]]:
    accept_grab(monkeypatch)
    monkeypatch.setattr(hid, "WAIT_S", 0.02)
    with HandScanner(path / "event-kbd") as device:
        source = hid.open_source(f"{device.path}{options}", 2, SETTINGS)
        notes: list[str] = []

        def read(tries: int = 10) -> tuple[list[bytes], list[str]]:
            frames = [source.read() for _ in range(tries)]
            notes.extend(note.code for frame in frames if frame for note in frame.notes)
            return [symbol.raw for frame in frames if frame for symbol in frame.symbols or ()], notes

        yield device, read
        source.close()


class TestKeyboard:
    """The kernel's events, byte for byte, through a device file."""

    def test_a_scan_is_one_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Shift, letters, signs and Enter are the code that was scanned."""
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            device.send(keys(PASS + "\n"))

            assert read() == ([PASS.encode()], [])

    def test_events_cut_in_the_middle_are_put_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """An event that arrives in two reads is one event."""
        sent = keys("CUT\n")
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            device.send(sent[:37])
            first = read(2)[0]
            device.send(sent[37:])

            assert (first, read()[0]) == ([], [b"CUT"])

    def test_autorepeat_types_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The kernel repeats a key that is held; a scanner means it once."""
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            device.send(event(EV_KEY, 30, 1) + event(EV_KEY, 30, 2) * 50 + event(EV_KEY, 30, 0) + keys("\n"))

            assert read()[0] == [b"a"]

    def test_events_lost_by_the_kernel_cost_the_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """After SYN_DROPPED the code is not whole: it is dropped and said, and the next one is read."""
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            device.send(keys("BRO") + event(EV_SYN, 3, 0) + keys("KEN\n") + keys("WHOLE\n"))

            assert read() == ([b"WHOLE"], ["hand_scanner.dropped"])

    def test_a_key_that_no_code_has_costs_the_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """F1 in the middle is not left out of a code: the code is dropped."""
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            device.send(keys("AB") + event(EV_KEY, 59, 1) + event(EV_KEY, 59, 0) + keys("C\n"))

            assert read() == ([], ["hand_scanner.dropped"])

    def test_a_pause_ends_a_code_where_the_scanner_sends_no_enter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """With `end=pause` Enter is not needed."""
        with _keyboard(tmp_path, monkeypatch, "?end=pause&pause_ms=60&layout=de") as (device, read):
            device.send(keys("Zürich@", "de"))

            assert read() == (["Zürich@".encode()], [])

    def test_a_storm_of_keys_reaches_nobody(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Something heavy on the keyboard, or random events, is a finding and at most a handful of codes."""
        chance = random.Random(3)
        storm = b"".join(
            EVENT.pack(chance.randrange(-(2**62), 2**62), chance.randrange(2**32), chance.randrange(3), key, value)
            for _ in range(400)
            for key, value in [(chance.randrange(2**16), chance.randrange(-3, 3))]
        )
        with _keyboard(tmp_path, monkeypatch) as (device, read):
            found: list[bytes] = []
            began = time.monotonic()
            for number in range(30):
                device.send(keys("".join(chance.choice("abc\n") for _ in range(30))) if number % 2 else storm[:4080])
                found += read(6)[0]

            assert len(found) <= BURST + 1 + 4 * (time.monotonic() - began)
            assert "hand_scanner.dropped" in read()[1] or "hand_scanner.flood" in read()[1]

    def test_the_device_is_grabbed_before_the_first_key(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Opening asks the kernel for the device alone."""
        calls = accept_grab(monkeypatch)
        with HandScanner(tmp_path / "kbd") as device:
            hid.open_source(str(device.path), 0, SETTINGS).close()

        assert calls == [0x80044501, 0x40044590, 0x400445A0]

    def test_a_device_held_by_another_program_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """What cannot be grabbed is not read: its keys would reach the page."""

        def held(_file: int, request: int, _argument: object) -> int:
            if request == 0x40044590:
                raise OSError(16, "busy")
            return 0

        monkeypatch.setattr(hid, "ioctl", held)
        with HandScanner(tmp_path / "kbd") as device, pytest.raises(SourceError) as error:
            hid.open_source(str(device.path), 0, SETTINGS)

        assert error.value.cause == "busy"

    def test_a_device_of_another_kind_is_refused(self, tmp_path: Path):
        """A terminal is no input device, and the real kernel says so."""
        with HandScanner(tmp_path / "kbd") as device, pytest.raises(SourceError) as error:
            hid.open_source(str(device.path), 0, SETTINGS)

        assert error.value.cause == "missing"
        assert error.value.next_step


KNOWN = {"end": ("line", "pause"), "pause_ms": range(20, 5001)}


class TestOptions:
    """What may follow a device."""

    def test_known_options_are_taken(self):
        """A word and a number in range are taken."""
        assert split_options("/dev/x?end=pause&pause_ms=20", KNOWN) == (
            "/dev/x",
            {"end": "pause", "pause_ms": "20"},
        )

    @pytest.mark.parametrize(
        "query", ["nd=line", "end=never", "end", "pause_ms=19", "pause_ms=5001", "pause_ms=-1", "end=line&end=line",
                  "pause_ms=" + "9" * 5000, "pause_ms=٣٣", "&"],
    )  # fmt: skip
    def test_others_are_refused_naming_the_known(self, query: str):
        """A misspelt, repeated or impossible option is refused with the forms there are."""
        with pytest.raises(SourceError, match=r"end=line\|pause, pause_ms=20..5000") as error:
            split_options(f"/dev/x?{query}", KNOWN)

        assert error.value.cause == "option"


def _next_code(scanner: Scanner, within_s: float = 5.0) -> Symbol:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        for symbol in scanner.presentations(0.05):
            return symbol
    raise AssertionError(f"no code within {within_s} s: {scanner.findings()}")


def _until_said(scanner: Scanner, expected: dict[str, Severity], within_s: float = 5.0) -> None:
    until = time.monotonic() + within_s
    while (found := {one.code: one.severity for one in scanner.findings()}) != expected:
        assert time.monotonic() < until, found
        scanner.presentations(0.05)


@contextmanager
def _running(*sources: str) -> Iterator[Scanner]:
    """Run a scanner whose every source is open."""
    scanner = Scanner(ScannerSettings(sources=sources, fps=60))
    scanner.start()
    try:
        until, begun = time.monotonic() + 5, [capture._last_ns for capture in scanner._captures]
        while any(capture._last_ns in begun for capture in scanner._captures):
            assert time.monotonic() < until, scanner.findings()
            scanner.presentations(0.05)
        yield scanner
    finally:
        scanner.close()


class TestInTheScanner:
    """From a device file to presentations."""

    def test_a_serial_scanner_unplugged_and_plugged_again_is_back_within_three_seconds(self, tmp_path: Path):
        """It is said while it is away, and read again by itself, with no decoder in between."""
        with HandScanner(tmp_path / "ttyACM0") as device, _running(f"serial:{device.path}?baud=115200") as scanner:
            device.send(b"FIRST\r\n")
            first = _next_code(scanner)
            device.unplug()
            _until_said(scanner, {"hand_scanner.lost": Severity.STOP}, 3)
            device.plug()
            _until_said(scanner, {}, 3)
            device.send(b"SECOND\r")

            assert (first.raw, first.engine, _next_code(scanner).raw) == (b"FIRST", "serial", b"SECOND")

    def test_a_keyboard_scanner_unplugged_and_plugged_again_is_back_within_three_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The same for one that plays a keyboard."""
        accept_grab(monkeypatch)
        with HandScanner(tmp_path / "kbd") as device, _running(f"hid:{device.path}") as scanner:
            device.send(keys("FIRST\n"))
            first = _next_code(scanner)
            device.unplug()
            _until_said(scanner, {"hand_scanner.lost": Severity.STOP}, 3)
            device.plug()
            _until_said(scanner, {}, 3)
            device.send(keys("SECOND\n"))

            assert (first.raw, first.engine, _next_code(scanner).raw) == (b"FIRST", "hid", b"SECOND")

    def test_half_a_code_before_the_plug_was_pulled_is_no_code(self, tmp_path: Path):
        """What was sent before it was unplugged is not glued to what comes after."""
        with HandScanner(tmp_path / "tty") as device, _running(f"serial:{device.path}") as scanner:
            device.send(b"HALF")
            device.unplug()
            _until_said(scanner, {"hand_scanner.lost": Severity.STOP}, 3)
            device.plug()
            _until_said(scanner, {}, 3)
            device.send(b"WHOLE\r")

            assert _next_code(scanner).raw == b"WHOLE"

    def test_a_scanner_nobody_uses_is_no_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Silence is not a stall: the heartbeat says that the device is there, and how fresh it is."""
        monkeypatch.setattr("edge.scanner.capture.SILENT_NS", SECOND)
        with HandScanner(tmp_path / "tty") as device, _running(f"serial:{device.path}") as scanner:
            for _ in range(40):
                scanner.presentations(0.05)

            assert scanner.findings() == []
            assert (scanner.frame_age_ms() or 1e9) < 1000

    def test_one_code_scanned_twice_in_a_moment_is_one_presentation(self, tmp_path: Path):
        """The steady rule holds for scanners as for cameras."""
        with HandScanner(tmp_path / "tty") as device, _running(f"serial:{device.path}") as scanner:
            device.send(b"SAME\rSAME\rOTHER\r")

            assert [_next_code(scanner).raw for _ in range(2)] == [b"SAME", b"OTHER"]
            assert [symbol for _ in range(5) for symbol in scanner.presentations(0.05)] == []

    def test_several_sources_at_once_are_all_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Two scanners and a folder are answered, each symbol with its source; one unplugged is a warning."""
        accept_grab(monkeypatch)
        with (
            HandScanner(tmp_path / "tty") as one,
            HandScanner(tmp_path / "kbd") as two,
            _running(f"serial:{one.path}", f"hid:{two.path}") as scanner,
        ):
            one.send(b"SERIAL\r")
            two.send(keys("KEYS\n"))
            seen = {symbol.raw: symbol.source for symbol in (_next_code(scanner) for _ in range(2))}
            one.unplug()
            _until_said(scanner, {"hand_scanner.lost": Severity.WARNING}, 3)
            two.send(keys("STILL\n"))

            assert seen == {b"SERIAL": 0, b"KEYS": 1}
            assert _next_code(scanner).raw == b"STILL"

    def test_junk_on_the_line_is_a_finding_and_nothing_else(self, tmp_path: Path):
        """Bytes of a wrong baud rate reach nobody."""
        chance = random.Random(9)
        with HandScanner(tmp_path / "tty") as device, _running(f"serial:{device.path}") as scanner:
            for _ in range(20):
                device.send(bytes(chance.randrange(128, 256) for _ in range(200)) + b"\r")
                assert scanner.presentations(0.05) == []
            _until_said(scanner, {"hand_scanner.dropped": Severity.WARNING})

    def test_a_scanner_is_read_while_the_decoder_is_absent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Where no picture can be read a hand scanner still can."""
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        with HandScanner(tmp_path / "tty") as device, _running(f"serial:{device.path}") as scanner:
            _until_said(scanner, {"scanner.child_absent": Severity.STOP})
            device.send(b"BY HAND\r")

            assert _next_code(scanner).raw == b"BY HAND"


class TestStandardInput:
    """Codes of a pipe."""

    @staticmethod
    def _all(data: bytes, target: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        near, far = os.pipe()
        os.write(far, data)
        os.close(far)
        with os.fdopen(near) as file:
            monkeypatch.setattr(sys, "stdin", file)
            source = stdin.open_source(target, 0, SETTINGS)
            found = []
            while not source.is_finished:
                frame = source.read()
                found += [symbol.raw for symbol in (frame.symbols or ())] if frame else []
        return found

    def test_a_line_is_a_code_exactly(self, monkeypatch: pytest.MonkeyPatch):
        """Bytes of a line are the code's; an empty line is none, and the last needs no end."""
        found = self._all("ONE\r\n\n \t TWO \n中\xff\nLAST".encode(), "-", monkeypatch)

        assert found == [b"ONE", b" \t TWO ", "中\xff".encode(), b"LAST"]

    def test_codes_with_line_ends_are_separated_by_nul(self, monkeypatch: pytest.MonkeyPatch):
        """With `end=nul` a code may hold line feeds and carriage returns."""
        assert self._all(b"A\r\nB\r\0C\n\0", "-?end=nul", monkeypatch) == [b"A\r\nB\r", b"C\n"]

    def test_many_lines_at_once_all_come(self, monkeypatch: pytest.MonkeyPatch):
        """A file is not a hand: nothing is dropped for its speed."""
        lines = [b"%d" % number for number in range(9000)]

        assert self._all(b"\n".join(lines), "-", monkeypatch) == lines

    def test_a_name_is_refused(self):
        """Standard input has no name."""
        with pytest.raises(SourceError, match="stdin:-"):
            stdin.open_source("file", 0, SETTINGS)


class TestSlots:
    """Codes are not pictures: none is overwritten."""

    def test_codes_are_taken_without_a_decoder(self):
        """Where pictures wait for a decoder, codes do not."""
        slots = Slots(2)
        slots.put(Frame(1, 0, encoded=b"picture"))
        slots.put(Frame(2, 1, symbols=(Symbol(b"X"),)))

        assert [slots.take_read(), slots.take_read()] == [Frame(2, 1, symbols=(Symbol(b"X"),)), None]


def test_a_serial_line_is_opened_for_one_program(tmp_path: Path):
    """A second opener is told that the scanner is held."""
    with HandScanner(tmp_path / "tty") as device:
        first = serial.open_source(str(device.path), 0, SETTINGS)
        with pytest.raises(SourceError) as error:
            serial.open_source(str(device.path), 0, SETTINGS)
        first.close()

    assert error.value.cause == "busy"
