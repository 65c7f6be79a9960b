"""The catalogue: complete in every language, the same in every language, and never an error."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from edge.model.verdict import Reason
from edge.words.catalogue import (
    NOTES,
    duration,
    finding_words,
    has_label,
    label,
    languages,
    load,
    placeholders,
    reason_words,
    size,
)

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "zh")
FINDINGS = {
    *("camera.lost", "camera.covered", "camera.missing", "stream.stalled", "stream.frame_too_big", "stream.unreadable"),
    *("source.finished", "scanner.child_restarted", "scanner.child_absent", "scanner.pyzbar_missing"),
    *("scanner.pyzbar_failed", "scanner.frame_too_large", "scanner.frame_unreadable", "log.unwritable", "log.damaged"),
    *(
        "trust.expired",
        "trust.mirror",
        "trust.unkept",
        "trust.withheld",
        "trust.outlived",
        "trust.stick",
        "trust.stick_old",
        "trust.list_held",
    ),
    *("trust.missing", "trust.damaged", "trust.refused", "trust.stale", "trust.too_old", "policy.ended"),
    *(
        "clock.doubtful",
        "clock.floor",
        "clock.set",
        "policy.keys_erased",
        "policy.keys_left",
        "hub.unreachable",
        "hub.refused",
        "gate.not_enrolled",
        "part.restarted",
    ),
    "signature.unsupported",
    "code_keys.unreadable",
    *("web.clients_full", "disk.low", "sync.failed", "sync.stick", "sync.stick_receipt", "sync.db_replaced"),
    *("source.waiting", "source.empty", "source.missing"),
    *("gate.enrolment_damaged", "gate.key_damaged", "gate.other_key"),
    *("camera.setting_refused", "camera.too_dark", "camera.glare", "camera.out_of_focus", "code.too_small"),
    *(
        "code.too_far",
        "code.blurred",
        "camera.slow",
        "check.no_code",
        "code.seldom_read",
        "hand_scanner.lost",
        "hand_scanner.dropped",
        "hand_scanner.flood",
    ),
}
DESK = {"en": "staffed desk", "zh": "人工窗口"}
NO_DESK = {Reason.OK, Reason.CLOCK_SET, Reason.STAFF_OVERRIDE, Reason.STAFF_UNDO}


def texts(language: str) -> dict[str, str]:
    """Return every text of a language by its place."""
    spoken = languages()[language]
    found = {f"labels/{key}": text for key, text in spoken.labels.items()}
    for section, entries in (("reasons", spoken.reasons), ("findings", spoken.findings)):
        found |= {f"{section}/{code}/{part}": text for code, parts in entries.items() for part, text in parts.items()}
    return found


BUILT = {
    *(f"{part}.{word}" for part in ("starting", "lost") for word in ("word", "what", "why", "next")),
    *(f"{family}.{outcome}" for family in ("verdict", "count", "help") for outcome in ("accept", "refer", "reject")),
    *(f"help.{act}" for act in ("next", "not_holder", "note", "override", "undo", "report", "language", "help")),
    *(
        f"{family}.{act}"
        for family in ("action", "done", "report")
        for act in ("not_holder", "note", "override", "undo")
    ),
    *("action.slip", "help.slip", "action.tail"),
    *(f"panel.{kind}" for kind in ("note", "override")),
    *(f"link.{state}" for state in ("online", "offline", "never", "unknown")),
    *(f"direction.{way}" for way in ("entry", "exit")),
    *(f"unit.{unit}" for unit in ("s", "min", "h", "d", "mb", "gb")),
    *(
        f"report.{fact}"
        for fact in ("not_shown", "tail_matched", "tail_differs", "place", "gate", "trust", "link", "backlog", "last")
    ),
    *(f"note.{code}" for code in NOTES),
}
"""Keys that code puts together; the open families below are looked up with `has_label` or fall back."""
SAYERS = [*ROOT.glob("edge/kiosk/static/*.js"), *ROOT.glob("edge/*/templates/*.html")]
OPEN = ("kind.", "health.", "family.", "failed.", "ceremony.", "ground.", "match.", "list.", "policy.")


def said_by_pages() -> set[str]:
    """Return the label keys that scripts, templates and modules name whole."""
    files = [*ROOT.glob("edge/kiosk/**/*.js"), *ROOT.glob("edge/*/templates/*.html"), *ROOT.glob("edge/kiosk/*.py")]
    files += [ROOT / "edge/cli/trust_told.py", ROOT / "edge/trust/picture.py"]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)*)["']""", source))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_and_no_others_have(language: str) -> None:
    """The reasons of a language are exactly those of the model, and one for what it does not know."""
    expected = {str(reason) for reason in Reason} | {"unknown"}

    assert expected == set(languages()[language].reasons)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_words_and_no_others_have(language: str) -> None:
    """The findings of a language are exactly the known codes, and one for what it does not know."""
    assert FINDINGS | {"unknown"} == set(languages()[language].findings)


def test_every_finding_a_part_can_report_has_words() -> None:
    """No module makes a finding whose code the catalogue lacks."""
    made = set()
    for file in ROOT.glob("edge/**/*.py"):
        source = file.read_text(encoding="utf-8")
        made |= set(re.findall(r"""(?:Finding\(|_about\(state,)\s*"([a-z_]+\.[a-z_]+)\"""", source))

    assert set() == made - FINDINGS
    assert len(made) > 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_says_something(language: str) -> None:
    """No title, sentence, next step or label is empty."""
    assert [place for place, text in texts(language).items() if not text.strip()] == []


def test_every_language_has_the_same_texts_with_the_same_placeholders() -> None:
    """A label, part or placeholder that one language has and another lacks is a fault."""
    shapes = {code: {place: placeholders(text) for place, text in texts(code).items()} for code in languages()}

    assert set(LANGUAGES) == set(shapes)
    assert shapes["en"] == shapes["zh"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NO_DESK])
def test_whoever_is_not_accepted_is_told_where_to_go(language: str, reason: Reason) -> None:
    """Every next step but an acceptance's names the staffed desk."""
    assert DESK[language] in reason_words(language, reason).next_step


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_shows_a_hole_when_nothing_is_known(language: str) -> None:
    """Without any value every reason and finding still reads as a sentence."""
    said = [part for code in languages()[language].reasons for part in vars_of(reason_words(language, code))]
    said += [part for code in languages()[language].findings for part in vars_of(finding_words(language, code))]

    assert [text for text in said if re.search(r"[{}\[\]|?]|  | [.,;:]|None", text)] == []


def vars_of(words: object) -> list[str]:
    """Return the three texts of a words value."""
    return [str(getattr(words, name)) for name in words.__slots__]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("language", "title"), [("en", "Same pass shown 3 min ago"), ("zh", "同一凭证 3 分钟前用过")])
def test_a_known_value_is_said_as_a_person_says_it(language: str, title: str) -> None:
    """A time in seconds becomes minutes, hours or days."""
    assert title == reason_words(language, "repeat.recent", {"ago_s": 180}).title


def test_a_stretch_is_left_out_where_its_value_is_not_known() -> None:
    """Without the time the sentence says what it can."""
    assert reason_words("en", "repeat.recent").title == "Same pass shown before"


def test_a_value_is_never_read_as_a_text_of_ours() -> None:
    """Braces and brackets in a value stay what they are."""
    words = finding_words("en", "camera.lost", {"name": "{name}[x|y]{0.__class__}"})

    assert words.what == "Camera lost ({name}[x|y]{0.__class__})"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)])
def test_a_senseless_number_is_a_question_mark(number: float) -> None:
    """A number that cannot be written or means nothing raises nothing."""
    assert "?" in finding_words("en", "trust.stale", {"age_s": number}).what


def test_an_unknown_finding_is_named_by_its_code() -> None:
    """A finding of a later version degrades to a sentence with its code."""
    assert finding_words("en", "camera.on_fire", {"x": 1}).what == "The gate reports: camera.on_fire"


def test_an_unknown_reason_is_named_by_its_code() -> None:
    """A reason of a later version degrades to a sentence with its code."""
    words = reason_words("zh", "moon.full")

    assert "moon.full" in words.detail
    assert DESK["zh"] in words.next_step


def test_an_unknown_language_speaks_english() -> None:
    """A language without a file gets the fallback, never an error."""
    assert reason_words("en", "ok") == reason_words("tlh", "ok")


def test_an_unknown_label_is_a_fault_of_ours() -> None:
    """A label is named in code, so a missing one raises."""
    assert not has_label("no.such.label")
    with pytest.raises(KeyError):
        label("en", "no.such.label")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h")),
        *((86_400, "24 h"), (93_600, "26 h"), (172_799, "47 h"), (172_800, "2 days"), (2_592_000, "30 days")),
    ],
)
def test_a_duration_is_never_rounded_up(seconds: float, said: str) -> None:
    """Each length is said in its largest fitting unit; no unit ever needs a singular of *days*."""
    assert said == duration("en", seconds)


@pytest.mark.parametrize(("count", "said"), [(0, "0.0 MB"), (52_000_000, "52.0 MB"), (1_500_000_000, "1.5 GB")])
def test_a_size_is_said_in_megabytes_or_gigabytes(count: float, said: str) -> None:
    """A size is said in the unit a person reads."""
    assert said == size("en", count)


def test_every_note_code_has_a_label_and_a_number_key() -> None:
    """A note is chosen by one of nine keys, and its code is no text about a person."""
    assert all(has_label(f"note.{code}") for code in NOTES)
    assert len(set(NOTES)) == len(NOTES) <= 9


def test_every_label_is_said_somewhere() -> None:
    """A label nobody says is dead."""
    labels = {key for key in languages()["en"].labels if not key.startswith(OPEN)}

    assert labels - said_by_pages() - BUILT == set()


def test_every_label_that_is_said_exists() -> None:
    """Keys that pages and modules put together or name in a script are labels."""
    said = set(
        re.findall(
            r"""(?:say|also)\(["']([a-z_.]+)["']""", "".join(file.read_text(encoding="utf-8") for file in SAYERS)
        )
    )

    assert len(said) > 30
    assert (said | BUILT) - set(languages()["en"].labels) == set()


def test_a_language_is_one_more_file(tmp_path: Path) -> None:
    """Putting a file beside the others is all that adding a language takes."""
    for code in LANGUAGES:
        text = resources.files("edge.words").joinpath(f"{code}.json").read_text(encoding="utf-8")
        (tmp_path / f"{code}.json").write_text(text, encoding="utf-8")
    raw = json.loads((tmp_path / "en.json").read_text(encoding="utf-8"))
    raw["language"] |= {"name": "ئۇيغۇرچە", "locale": "ug-CN", "direction": "rtl", "other": "zh"}
    (tmp_path / "ug.json").write_text(json.dumps(raw), encoding="utf-8")

    loaded = load(tmp_path)

    assert list(loaded) == ["en", "ug", "zh"]
    assert loaded["ug"].direction == "rtl"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_title_fits_the_screen(language: str) -> None:
    """A reason's title fits one line beside the card at 1280x720."""
    limit = {"en": 36, "zh": 16}[language]
    titles = {code: reason_words(language, code, {"ago_s": 180}).title for code in languages()[language].reasons}

    assert {code: title for code, title in titles.items() if len(title) > limit} == {}
