"""Issuing: what comes out is accepted by a gate that knows only the publication, and says no more than it was told."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zxingcpp
from nacl.signing import SigningKey

from edge.authority import batch, codes, issuers, profiles, requests
from edge.authority.authority import Authority, init
from edge.authority.issue import IssuedPass, PassRequest, issue_pass
from edge.authority.publish import publish
from edge.authority.revocation import set_status
from edge.credentials import hp1
from edge.errors import PublicationError
from edge.kiosk import drawing
from edge.model.credential import PassKind, PersonClaims, TravelClaims, VenueClaims
from edge.model.moment import Moment
from edge.model.trust import Status
from edge.model.verdict import Verdict
from edge.policy.decide import Place
from edge.policy.examine import Context, NobodySeen, examine
from edge.trust.opening import open_trust
from tests.simulators.repository import DAY, NOW

PERSON = PassRequest(
    "44", NOW, region=440106, surname="张", id_tail="3416", birth_year=1988, name="张*伟", shows_id_tail=True
)


@pytest.fixture(scope="session")
def _issuing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    authority = init(tmp_path_factory.mktemp("issuing") / "authority", NOW)
    for profile in profiles.profiles():
        issuers.add_issuer(authority, profile, NOW)
    publish(authority, NOW)
    return authority.folder


@pytest.fixture
def authority(_issuing: Path, tmp_path: Path) -> Authority:
    """An authority with the seven systems, published once."""
    shutil.copytree(_issuing, tmp_path / "authority")
    return Authority.open(tmp_path / "authority")


def verdict(authority: Authority, issued: IssuedPass, now: int = NOW + 60) -> Verdict:
    """Return what a gate that knows only the publication says."""
    trust = open_trust(authority.folder, now)
    context = Context((hp1.FORMAT,), trust, Moment(now * 1000), Place("440106"), NobodySeen())
    return examine(issued.code.encode(), context)


@pytest.mark.parametrize(
    "request_",
    [
        replace(PERSON, issuer="11", region=110105),
        PERSON,
        replace(PERSON, issuer="50", region=None),
        replace(PERSON, issuer="6101", region=610102),
        replace(PERSON, issuer="nhc", region=330100),
        PassRequest("trip", NOW, kind=PassKind.TRAVEL, id_tail="111X", visited=(440100, 110000)),
        replace(PERSON, issuer="cn", region=510100),
    ],
    ids=lambda request: request.issuer,
)
def test_passes_of_all_seven_systems_are_accepted(authority: Authority, request_: PassRequest) -> None:
    """Each system's issuer, at a gate in another province."""
    found = verdict(authority, issue_pass(authority, request_))

    assert (str(found.reason), found.is_authentic) == ("ok", True)


def test_a_pass_says_what_it_was_told(authority: Authority) -> None:
    """Every claim, and the tag over pseudonym and tail."""
    issued = issue_pass(authority, PERSON)

    credential = hp1.FORMAT.parse(issued.code.encode())
    claims = credential.claims
    assert isinstance(claims, PersonClaims)
    assert issued.place is not None
    assert (claims.status, claims.region, claims.surname, claims.name) == (0, 440106, "张", "张*伟")
    assert (claims.birth_year, claims.id_tail, claims.index) == (1988, "3416", issued.place.index)
    assert claims.tag == sha256(claims.pseudonym + b"3416").digest()[:3]
    assert (credential.issued_at, credential.expires_at) == (NOW, NOW + DAY)


def test_a_pass_says_no_more(authority: Authority) -> None:
    """Without the optional members the six-element form comes out; two passes of one person share no pseudonym."""
    plain = PassRequest("44", NOW, surname="张", id_tail="3416")
    first, second = (hp1.FORMAT.parse(issue_pass(authority, plain).code.encode()).claims for _ in range(2))

    assert isinstance(first, PersonClaims)
    assert isinstance(second, PersonClaims)
    assert (first.birth_year, first.id_tail, first.name) == (None, None, None)
    assert first.pseudonym != second.pseudonym


def test_nothing_about_the_person_is_kept(authority: Authority) -> None:
    """The ledger knows index, times and status; no name, no tail, no pseudonym."""
    issued = issue_pass(authority, PERSON)
    claims = hp1.FORMAT.parse(issued.code.encode()).claims
    ledger = (authority.folder / "ledger.db").read_bytes()

    assert isinstance(claims, PersonClaims)
    assert not [text for text in ("张", "3416", "1988") if text.encode() in ledger]
    assert claims.pseudonym not in ledger


def test_a_travel_pass_lists_places_once_in_order(authority: Authority) -> None:
    """Ascending and without duplicates, as gates demand."""
    request_ = PassRequest("trip", NOW, kind=PassKind.TRAVEL, id_tail="0011", visited=(440100, 110000, 440100), days=7)

    claims = hp1.FORMAT.parse(issue_pass(authority, request_).code.encode()).claims

    assert isinstance(claims, TravelClaims)
    assert (claims.regions, claims.days) == ((110000, 440100), 7)


def test_a_venue_pass_uses_no_index(authority: Authority) -> None:
    """A poster is not revoked by a list; a gate knows it as genuine and admits nobody by it."""
    issued = issue_pass(
        authority,
        PassRequest("11", NOW, kind=PassKind.VENUE, venue_id=b"\x0a\x0b", venue_name="北京南站", valid_s=90 * DAY),
    )

    claims = hp1.FORMAT.parse(issued.code.encode()).claims
    found = verdict(authority, issued)
    assert issued.place is None
    assert claims == VenueClaims(b"\x0a\x0b", 110000, "北京南站")
    assert (str(found.reason), found.is_authentic) == ("kind.not_admitted", True)


def test_a_revoked_pass_is_refused_after_the_publish(authority: Authority) -> None:
    """From `issue` to `revoke` to a gate's verdict, and back from a suspension."""
    issued = issue_pass(authority, PERSON)
    assert issued.place is not None
    reasons = []
    for status in (Status.SUSPENDED, Status.VALID, Status.INVALID):
        set_status(authority, "44", issued.place.index, status, NOW, number=1)
        publish(authority, NOW + 1)
        reasons.append(str(verdict(authority, issued).reason))

    assert reasons == ["status.suspended", "ok", "status.revoked"]


WRONG: dict[str, tuple[PassRequest, str]] = {
    "an unknown issuer": (replace(PERSON, issuer="99"), "no issuer"),
    "another province": (replace(PERSON, region=110000), "may not speak of region 110000"),
    "no region for a national issuer": (replace(PERSON, issuer="nhc", region=None), "need a region"),
    "a region nobody knows": (replace(PERSON, issuer="nhc", region=999999), "not in the registry"),
    "a kind its key may not sign": (replace(PERSON, kind=PassKind.TRAVEL), "travel passes"),
    "too long a validity": (replace(PERSON, valid_s=32 * DAY), "at most 744 hours"),
    "no validity": (replace(PERSON, valid_s=0), "at most"),
    "a status nobody listed": (replace(PERSON, status=2), "no row for issuer 44 and status 2"),
    "before its key": (replace(PERSON, issued_at=NOW - 30 * DAY), "at that time"),
    "after its key": (replace(PERSON, issued_at=NOW + 1000 * DAY), "at that time"),
    "no tail": (replace(PERSON, id_tail=""), "last four characters"),
    "a tail that is none": (replace(PERSON, id_tail="34/6"), "last four characters"),
    "no surname": (replace(PERSON, surname=""), "format of a national pass"),
    "a control character": (replace(PERSON, surname="张\u202e"), "format of a national pass"),
    "half a character": (replace(PERSON, surname="\ud800"), "format of a national pass"),
    "a name too long": (replace(PERSON, name="长" * 100), "format of a national pass"),
    "a birth year that is none": (replace(PERSON, birth_year=1 << 70), "format of a national pass"),
    "a pseudonym of another length": (replace(PERSON, pseudonym=b"short"), "format of a national pass"),
    "a holder key of another length": (replace(PERSON, holder_key=b"short"), "format of a national pass"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_gate_would_accept_is_not_issued(authority: Authority, case: str) -> None:
    """Refused with the reason, and no index is used up."""
    request_, match = WRONG[case]
    before = (authority.folder / "ledger.db").read_bytes()

    with pytest.raises(PublicationError, match=match) as met:
        issue_pass(authority, request_)

    assert (authority.folder / "ledger.db").read_bytes() == before
    assert "张" not in str(met.value)


def test_the_newest_key_of_its_time_signs(authority: Authority) -> None:
    """After a rotation the new key signs, and both are accepted."""
    old = issue_pass(authority, PERSON)
    added = issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW + 60)
    publish(authority, NOW + 60)

    new = issue_pass(authority, replace(PERSON, issued_at=NOW + 60))

    assert (new.key_id, old.key_id != new.key_id) == (added.key_id, True)
    assert {str(verdict(authority, issued, NOW + 120).reason) for issued in (old, new)} == {"ok"}


def test_passes_of_a_key_kept_elsewhere_are_not_issued_here(authority: Authority) -> None:
    """Its private half is not here, and the message says which file is missing."""
    own = profiles.own_profile("53", {"zh": "云南健康码", "en": "Yunnan Health Code"}, 530000)
    issuers.add_issuer(authority, own, NOW, foreign=issuers.ForeignKey(bytes(SigningKey(bytes(32)).verify_key)))

    with pytest.raises(PublicationError, match="issuer-53-"):
        issue_pass(authority, replace(PERSON, issuer="53", region=530100))


def test_two_issuing_commands_wait_for_each_other(authority: Authority) -> None:
    """Four at once: every pass has an index of its own, none fails."""
    with ThreadPoolExecutor(4) as desks:
        issued = list(desks.map(lambda _: issue_pass(authority, PERSON), range(16)))

    assert len({one.place for one in issued}) == 16


# Pictures


def _read(png: bytes) -> str:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    (found,) = zxingcpp.read_barcodes(image)
    return str(found.text)


def test_the_picture_reads_as_the_code(authority: Authority) -> None:
    """PNG drawn, read by the gate's own decoder."""
    code = issue_pass(authority, PERSON).code

    assert _read(codes.png(code)) == code


def test_the_picture_is_as_small_as_promised(authority: Authority) -> None:
    """Everything in it: at most version 9 (53 modules), error correction M, alphanumeric."""
    drawn = drawing.symbol(issue_pass(authority, PERSON).code)

    assert (drawn.error, drawn.mode, int(drawn.version) <= 9) == ("M", "alphanumeric", True)


def test_the_svg_is_a_picture_and_nothing_else(authority: Authority) -> None:
    """No script, no text, no link."""
    drawn = codes.svg(issue_pass(authority, PERSON).code)

    assert drawn.startswith(b"<?xml")
    assert b"HP1" not in drawn
    assert b"script" not in drawn


# Requests and batches


def test_a_request_is_read_from_json() -> None:
    """The members of a person."""
    members = requests.parse('{"issuer": "44", "surname": "张", "id_tail": "3416", "birth_year": 1988, "name": null}')

    assert requests.request(members, NOW) == PassRequest("44", NOW, surname="张", id_tail="3416", birth_year=1988)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 9000,
        '{"issuer": "44", "sirname": "x"}',
        '{"issuer": 44}',
        '{"surname": "x"}',
        '{"issuer": "44", "status": true}',
        '{"issuer": "44", "status": 1.0}',
        '{"issuer": "44", "birth_year": "1988"}',
        '{"issuer": "44", "kind": ["person"]}',
        '{"issuer": "44", "kind": "pet"}',
        '{"issuer": "44", "valid_hours": NaN}',
        '{"issuer": "44", "valid_hours": -1}',
        '{"issuer": "44", "visited": [true]}',
        '{"issuer": "44", "visited": "110000"}',
        '{"issuer": "44", "venue_id": "0A"}',
        '{"issuer": "44", "shows_id_tail": 1}',
    ],
)
def test_a_request_of_another_form_is_refused(text: str) -> None:
    """Not JSON, not an object, unknown members, other types."""
    with pytest.raises(PublicationError):
        requests.request(requests.parse(text), NOW)


def test_a_refused_request_is_not_repeated() -> None:
    """A value may be a person's."""
    with pytest.raises(PublicationError) as met:
        requests.request({"issuer": "44", "surname": ["张三丰"]}, NOW)

    assert "张三丰" not in str(met.value)


def test_a_batch_goes_on_after_a_wrong_line(authority: Authority, tmp_path: Path) -> None:
    """Three good lines and three wrong ones: the good ones are issued, the others reported by number."""
    good = json.dumps({"issuer": "44", "surname": "张", "id_tail": "3416"})
    lines = [good, "not json", good, "", json.dumps({"issuer": "99"}), good, "x" * 20_000]

    done = list(batch.issue_batch(authority, lines, tmp_path / "out", NOW, formats=("text", "png", "svg")))

    rows = [json.loads(line) for line in (tmp_path / "out" / batch.MANIFEST).read_text().splitlines()]
    assert [line.number for line in done if line.issued is None] == [2, 5, 7]
    assert [row["line"] for row in rows if "index" in row] == [1, 3, 6]
    assert _read((tmp_path / "out/000003.png").read_bytes()) == (tmp_path / "out/000003.txt").read_text().strip()
    assert len({row["index"] for row in rows if "index" in row}) == 3


def test_a_batch_is_not_written_over_another(authority: Authority, tmp_path: Path) -> None:
    """A second run names the folder."""
    run: Callable[[], Any] = lambda: list(batch.issue_batch(authority, [], tmp_path / "out", NOW))  # noqa: E731
    run()

    with pytest.raises(PublicationError, match="holds a batch"):
        run()
