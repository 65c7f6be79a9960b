"""What is wrong with seeing, as findings: one place that turns states and readings into codes.

Pure: the time is an argument and nothing is asked of any device. The sentence and next step of each code stand in
`edge.words`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge.model.finding import Finding, Severity, most_urgent_first
from edge.scanner.ailments import Ailing, ailment
from edge.scanner.capture import CaptureState
from edge.scanner.decode import Health, Reading
from edge.scanner.handover import Status

BAD_FRAMES = 5
"""Frames in a row that are no picture before it is said: one damaged frame is not a fault."""

RESTART_SHOWN_NS = 600 * 1_000_000_000
"""A lost child is shown for ten minutes."""


@dataclass(slots=True)
class _Seen:
    """What the last frames of one source were."""

    ailing: Ailing = field(default_factory=Ailing)
    bad: int = 0
    too_big: int = 0
    read: int = 0
    unread: int = 0
    codes: int = 0


class Conditions:
    """Keeps what the last frames of each source were.

    Args:
        count: How many sources there are.
    """

    def __init__(self, count: int) -> None:
        self._seen = [_Seen() for _ in range(count)]

    def note(self, source: int, reading: Reading) -> None:
        """Take note of a frame that was read."""
        seen = self._seen[source]
        seen.read += 1
        seen.unread += reading.status is not Status.READ
        if reading.status in {Status.READ, Status.UNREADABLE, Status.TOO_BIG}:
            seen.bad = seen.bad + 1 if reading.status is Status.UNREADABLE else 0
            seen.too_big = seen.too_big + 1 if reading.status is Status.TOO_BIG else 0
        if reading.symbols:
            seen.ailing.clear()
        elif reading.look is not None:
            seen.ailing.note(ailment(reading.look, reading.size[1]))

    def count(self, source: int, codes: int) -> None:
        """Take note of how many codes were presented anew in a frame."""
        self._seen[source].codes += codes

    def findings(self, captures: Iterable[CaptureState], health: Health, now_ns: int) -> list[Finding]:
        """Return what is wrong at a moment of the monotonic clock, most urgent first."""
        states = list(captures)
        away = [state for state in states if state.cause]
        # With no source left nobody can be admitted; with one left the lane goes on.
        is_blind = all(state.cause or state.is_finished for state in states)
        found = [_away(state, Severity.STOP if is_blind else Severity.WARNING) for state in away]
        ended = Severity.STOP if is_blind else Severity.INFO
        # Staff whose gate has no camera are to read why nothing happens; beside one that sees it is nobody's business.
        waiting = Severity.INFO if any(state.is_live and not state.cause for state in states) else Severity.WARNING
        for state in states:
            is_file = not (state.is_live or state.is_reader)
            found += self._of_file(state, ended=ended, waiting=waiting) if is_file else self._of_source(state, ended)
        found += _of_decoder(health)
        found += _of_children(states, health, now_ns)
        return most_urgent_first(found)

    def _of_source(self, state: CaptureState, ended: Severity) -> list[Finding]:
        seen = self._seen[state.source]
        found = [Finding(note.code, note.severity, _about_params(state) | note.params) for note in state.notes]
        if state.is_finished and not state.cause:
            found.append(_about(state, "source.finished", ended, {"frames": seen.codes, "codes": seen.codes}))
        if state.cause or state.is_finished:
            return found
        if seen.too_big >= BAD_FRAMES:
            found.append(_about(state, "stream.frame_too_big", Severity.WARNING))
        elif seen.bad >= BAD_FRAMES:
            found.append(_about(state, "stream.unreadable", Severity.WARNING))
        elif code := seen.ailing.said:
            found.append(_about(state, code, Severity.WARNING))
        return found

    def _of_file(self, state: CaptureState, *, ended: Severity, waiting: Severity) -> list[Finding]:
        """Say that a file or folder has been read to its end, once its last frame has been."""
        seen = self._seen[state.source]
        if state.cause or seen.read < state.frames or not (state.is_finished or state.is_waiting):
            return []
        counts: dict[str, str | int | float] = {"frames": state.frames + state.left_out, "codes": seen.codes}
        if unread := seen.unread + state.left_out:
            counts["unread"] = unread
        if state.is_finished:
            return [_about(state, "source.finished", ended, counts)]
        return [_about(state, "source.waiting" if counts["frames"] else "source.empty", waiting, counts)]


def _about_params(state: CaptureState) -> dict[str, str | int | float]:
    return {"source": state.source, "name": state.name}


def _about(
    state: CaptureState, code: str, severity: Severity, params: Mapping[str, str | int | float] | None = None
) -> Finding:
    return Finding(code, severity, {**_about_params(state), **(params or {})})


def _away(state: CaptureState, severity: Severity) -> Finding:
    if state.cause == "stalled" and not state.is_reader:
        return _about(state, "stream.stalled", severity)
    if state.cause == "no_file":
        return _about(state, "source.missing", severity)
    code = "camera.missing" if state.cause == "missing" else "camera.lost"
    code = "hand_scanner.lost" if state.is_reader else code
    return _about(state, code, severity, {"cause": state.cause})


def _of_decoder(health: Health) -> list[Finding]:
    found = []
    if health.is_absent:
        found.append(Finding("scanner.child_absent", Severity.STOP))
    if health.is_second_missing:
        found.append(Finding("scanner.pyzbar_missing", Severity.WARNING))
    if health.second_failures:
        found.append(Finding("scanner.pyzbar_failed", Severity.INFO, {"count": health.second_failures}))
    return found


def _of_children(states: list[CaptureState], health: Health, now_ns: int) -> list[Finding]:
    """Say how many children were lost, those that decode and those that unpack streams counted together."""
    count = health.restarts + sum(state.restarts for state in states)
    last_ns = max([health.last_restart_ns, *(state.last_restart_ns for state in states)])
    if count and now_ns - last_ns < RESTART_SHOWN_NS:
        return [Finding("scanner.child_restarted", Severity.WARNING, {"count": count})]
    return []
