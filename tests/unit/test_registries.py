"""Regions, venues and code sets: edited by the authority, read strictly, used at the gate, never going back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.authority import registries as edits
from edge.authority.authority import Authority, init
from edge.authority.issue import PassRequest, issue_pass
from edge.authority.issuers import add_issuer
from edge.authority.profiles import profile
from edge.authority.publish import publish
from edge.cli.authority import authority as command
from edge.errors import PublicationError, TrustError, TrustRefused
from edge.gate.events import Shown, verdict_event
from edge.kiosk.view import verdict_view
from edge.model.credential import PassKind, VenueClaims
from edge.model.registries import LegalPerson, Registries, Venue
from edge.policy.examine import examine
from edge.trust import paths, registries
from edge.trust.fields import Document
from edge.trust.opening import open_trust
from edge.trust.store import TrustStore
from tests.simulators import world
from tests.simulators.repository import NOW, Repository, document, words
from tests.simulators.world import context, make_pass, person

STATION = Venue(b"v1", 440106, "广州南站", LegalPerson("示例车站管理有限公司", "91350100M000100Y43"))


def with_registries(**changes):
    """The small country with other registries."""
    return replace(world.TRUST, registries=Registries(**changes))


def told(code, trust):
    """Outcome and reason of a verdict."""
    found = examine(code, context(trust=trust))
    return found.outcome.name.lower(), str(found.reason)


class TestRegions:
    """A pass of a region nobody listed is refused where the list says that it is complete."""

    LISTED = frozenset({"44", "4401", "440106", "4403", "440300"})

    @pytest.mark.parametrize(
        ("complete", "region", "is_lacking"),
        [
            ((), 440106, False),
            ((), 440700, False),
            (("44",), 440106, False),
            (("44",), 440300, False),
            (("44",), 440305, False),
            (("44",), 440000, False),
            (("44",), 440700, True),
            (("44",), 440705, True),
            (("4401",), 440106, False),
            (("4401",), 440107, True),
            (("4401",), 440100, False),
            (("4401",), 440700, False),
            (("44", "4401"), 440107, True),
            (("44",), 110101, False),
        ],
    )
    def test_completeness_is_said_and_reaches_one_level_down(self, complete, region, is_lacking):
        """Each level alone and both, for listed and unlisted prefectures and counties."""
        assert Registries(frozenset(complete), self.LISTED).lacks(region) is is_lacking

    def test_the_gate_refuses_it(self):
        """By its own reason; without completeness the nearest larger region names it."""
        code = make_pass(person(region=440700))

        assert told(code, world.TRUST) == ("accept", "ok")
        trust = with_registries(complete=frozenset({"44"}), listed=self.LISTED)
        assert told(code, trust) == ("reject", "region.unknown")
        assert told(make_pass(), trust) == ("accept", "ok")

    @pytest.mark.parametrize(
        "row",
        [
            {"code": 440106, "names": words("天河区", "Tianhe"), "complete": True},
            {"code": 440000, "names": words("广东省", "Guangdong"), "complete": 1},
            {"code": 440000, "names": words("广东省", "Guangdong"), "complete": "yes"},
            {"code": 44, "names": words("广东省", "Guangdong")},
            {"code": 440000, "names": {"zh": "广东省"}},
        ],
    )
    def test_a_wrong_row_is_refused(self, row):
        """A county without parts, a flag that is none, a short code, a missing language."""
        with pytest.raises(TrustError, match=r"regions\[0\]"):
            registries.regions(Document(document(regions=[row]), "r"))


class TestVenues:
    """A venue pass needs a registered venue at its place, once any venue is registered."""

    CODE = make_pass(VenueClaims(b"v1", 440106, "广州南站"), PassKind.VENUE)

    @pytest.mark.parametrize(
        ("venues", "reason"),
        [
            ({}, "kind.not_admitted"),
            ({b"v1": STATION}, "kind.not_admitted"),
            ({b"v2": replace(STATION, id=b"v2")}, "venue.unknown"),
            ({b"v1": replace(STATION, region=440100)}, "venue.unknown"),
        ],
    )
    def test_only_a_registered_one_gets_as_far_as_the_policy(self, venues, reason):
        """None registered, this one, another, this one elsewhere."""
        assert told(self.CODE, with_registries(venues=venues))[1] == reason

    @pytest.mark.parametrize(
        ("code", "is_one"),
        [
            ("91350100M000100Y43", True),
            ("91350100M000100Y34", False),
            ("91350100M000100Y4", False),
            ("91350100M000100Y433", False),
            ("91350100m000100Y43", False),
            ("91350100I000100Y43", False),
            ("", False),
        ],
    )
    def test_a_credit_code_has_its_check_character(self, code, is_one):
        """The standard's own example, a swap, other lengths, small letters, letters that it does not have."""
        assert registries.is_credit_code(code) is is_one

    def test_every_one_character_change_of_a_credit_code_is_found(self):
        """Walked: 18 places by 30 other characters."""
        code = STATION.legal_person.code
        chars = "0123456789ABCDEFGHJKLMNPQRTUWXY"
        changed = [
            code[:place] + char + code[place + 1 :] for place in range(18) for char in chars if char != code[place]
        ]

        assert len(changed) == 18 * 30
        assert not any(map(registries.is_credit_code, changed))


class TestCodes:
    """What an issuer calls its statuses stands on the screen."""

    TRUST = with_registries(statuses={("44", 20): words("弹窗", "Pop-up: report to your community")})

    def test_the_page_shows_the_issuers_own_words_beside_the_meaning(self):
        """For a status that has a name; others show the national meaning alone."""
        shown = Shown(1, True, 0, None, 0, 1)
        event = verdict_event(examine(make_pass(person(status=20)), context(trust=self.TRUST)), shown, self.TRUST)
        plain = verdict_event(examine(make_pass(), context(trust=self.TRUST)), shown, self.TRUST)
        view = verdict_view(event, ident="1", gate="")

        assert event["status_names"] == words("弹窗", "Pop-up: report to your community")
        assert "Pop-up: report to your community" in view["facts"]["en"]
        assert plain["status_names"] == {}

    @pytest.mark.parametrize(
        "sets",
        [
            [{"issuer": "44", "codes": []}, {"issuer": "44", "codes": []}],
            [{"issuer": "44", "codes": [{"status": 1, "names": words("a", "b")}] * 2}],
            [{"issuer": "44", "codes": [{"status": 65536, "names": words("a", "b")}]}],
            [{"issuer": "44", "codes": [{"status": 1, "names": {"zh": "a", "en": "\u202eb"}}]}],
            [{"issuer": "GD", "codes": []}],
        ],
    )
    def test_a_wrong_set_is_refused(self, sets):
        """An issuer twice, a status twice or out of bounds, a name that steers the page, no issuer's id."""
        with pytest.raises(TrustError, match=r"sets\["):
            registries.statuses(Document(document(sets=sets), "c"))


class TestVersions:
    """A document that states a version only grows; the trust in force stays where one goes back."""

    @pytest.fixture
    def repository(self):
        made = Repository()
        made.targets[paths.REGIONS] = document(version=3, regions=[{"code": 440000, "names": words("广", "G")}])
        made.publish()
        return made

    @pytest.fixture
    def store(self, tmp_path, repository):
        made = TrustStore.init(tmp_path / "trust", repository.first_root)
        made.refresh(repository, NOW)
        return made

    def publish(self, repository, version):
        rows = [{"code": 440000, "names": words("广东", "Guangdong")}]
        versioned = {} if version is None else {"version": version}
        repository.targets[paths.REGIONS] = document(**versioned, regions=rows)
        repository.publish()

    @pytest.mark.parametrize("version", [2, None])
    def test_an_older_one_and_one_without_are_refused(self, store, repository, version):
        """Although enough keys signed it."""
        self.publish(repository, version)
        with pytest.raises(TrustRefused, match=r"national/regions\.json of version [02] was offered"):
            store.refresh(repository, NOW)

        assert store.load().registries.versions[paths.REGIONS] == 3
        assert store.load().region_name(440000) == words("广", "G")

    @pytest.mark.parametrize("version", [3, 4, 1 << 31])
    def test_an_equal_or_newer_one_is_taken(self, store, repository, version):
        """The same version with other content too: metadata has versions of its own."""
        self.publish(repository, version)
        store.refresh(repository, NOW)

        assert store.load().registries.versions[paths.REGIONS] == version

    def test_new_targets_keys_begin_to_count_anew(self, store, repository):
        """Whoever stole the old ones and set a version very high is got rid of by a new root."""
        self.publish(repository, 1 << 31)
        store.refresh(repository, NOW)
        repository.rotate("targets")
        self.publish(repository, 4)
        store.refresh(repository, NOW)

        assert store.load().registries.versions[paths.REGIONS] == 4

    @pytest.mark.parametrize("kept", [None, b"", b"[]", b"{", b'{"versions": {"a": "x"}}', b'{"versions": 3}', b"\xff"])
    def test_what_cannot_be_read_back_stops_no_refresh(self, kept):
        """Versions of the metadata still only grow."""
        registries.check_forward(kept, {}, ["a"])

    def test_the_policy_is_held_to_it_too(self, store, repository):
        """An older policy under newer metadata would bring back what was ended."""
        members = json.loads(repository.targets[paths.POLICY])
        for version in (7, 6):
            repository.targets[paths.POLICY] = json.dumps({**members, "version": version}).encode()
            repository.publish()
            if version == 7:
                store.refresh(repository, NOW)
        with pytest.raises(TrustRefused, match="policy"):
            store.refresh(repository, NOW)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with two issuers."""
    made = init(tmp_path / "authority", NOW)
    for name in ("yuekang", "11"):
        add_issuer(made, profile(name), NOW)
    return made


def run(*words_: object) -> Result:
    """Run `edge authority ...`."""
    return CliRunner(catch_exceptions=False).invoke(command, [str(word) for word in words_])


def test_everything_edited_by_command_reaches_a_gate(authority: Authority) -> None:
    """Region, completeness, venue and names, each the next version of its document."""
    folder = authority.folder
    venue = ("--id", "7631", "--region", 440106, "--name", "广州南站")
    person_ = ("--legal-person", STATION.legal_person.name, "--credit-code", STATION.legal_person.code)
    done = [
        run("region", "set", folder, "--code", 440300, "--name-zh", "深圳市", "--name-en", "Shenzhen"),
        run("region", "set", folder, "--code", 440000, "--complete"),
        run("venue", "add", folder, *venue, *person_),
        run("codes", "set", folder, "--profile", "11"),
        run("codes", "set", folder, "--issuer", "44", "--status", 10, "--name-zh", "红码", "--name-en", "Red code"),
    ]
    publish(authority, NOW)
    found = open_trust(folder, NOW).registries

    assert [one.exit_code for one in done] == [0] * 5
    assert all(f"edge authority publish {folder}" in one.output for one in done)
    assert "44" in found.complete
    assert {"4403", "440300"} <= found.listed
    assert found.venues == {b"v1": STATION}
    assert found.statuses["44", 10] == words("红码", "Red code")
    assert found.statuses["11", 21]
    assert (found.versions[paths.REGIONS], found.versions[paths.VENUES], found.versions[paths.CODES]) == (2, 1, 2)


def test_lists_are_read_by_people_and_scripts(authority: Authority) -> None:
    """A line each, or JSON."""
    edits.set_venue(authority, STATION)
    edits.set_region(authority, 440000, None, is_complete=True)
    edits.set_status_names(authority, "44", {10: words("红码", "Red code")})
    folder = authority.folder
    venue = json.loads(run("venue", "list", folder, "--json").output)

    assert venue["legal_person"] == {"name": STATION.legal_person.name, "code": STATION.legal_person.code}
    assert "广州南站" in run("venue", "list", folder).output
    assert "440000 广东省" in run("region", "list", folder).output
    assert "(complete)" in run("region", "list", folder).output
    rows = [json.loads(line) for line in run("region", "list", folder, "--json").output.splitlines()]
    assert [row["code"] for row in rows if row["complete"]] == [440000]
    assert json.loads(run("codes", "list", folder, "--json").output)["names"] == words("红码", "Red code")
    assert run("venue", "remove", folder, "--id", "7631").exit_code == 0
    assert run("venue", "list", folder).output == ""


def test_a_slip_changes_nothing(authority: Authority) -> None:
    """A wrong check character, a venue nobody has, a nameless region, an unknown issuer: nothing is written."""
    before = {path: authority.sources.read(path) for path in (paths.REGIONS, paths.VENUES)}
    wrong = replace(STATION, legal_person=LegalPerson("x", "91350100M000100Y44"))
    for slip in (
        lambda: edits.set_venue(authority, wrong),
        lambda: edits.remove_venue(authority, b"zz"),
        lambda: edits.set_region(authority, 449900, None, is_complete=None),
        lambda: edits.set_region(authority, 440106, words("天河", "Tianhe"), is_complete=True),
        lambda: edits.set_status_names(authority, "99", {}),
    ):
        with pytest.raises(PublicationError):
            slip()

    assert {path: authority.sources.read(path) for path in before} == before
    assert run("venue", "add", authority.folder, "--id", "zz", "--region", 440106, "--name", "x").exit_code == 2


def test_nothing_is_signed_that_names_what_is_not_listed(authority: Authority) -> None:
    """A venue in an unlisted region."""
    edits.set_venue(authority, replace(STATION, region=990000))
    with pytest.raises(PublicationError, match="puts 7631 into region 990000, which is not listed"):
        publish(authority, NOW)


def test_the_authority_issues_nothing_that_gates_would_refuse(authority: Authority) -> None:
    """A pass of a part nobody listed, and one of a venue nobody registered."""
    edits.set_region(authority, 440000, None, is_complete=True)
    with pytest.raises(PublicationError, match="not in the registry"):
        issue_pass(authority, PassRequest("44", NOW, region=440799, surname="张", id_tail="3416"))

    edits.set_venue(authority, STATION)
    ask = PassRequest("11", NOW, kind=PassKind.VENUE, venue_id=b"v9", venue_name="北京南站")
    with pytest.raises(PublicationError, match="not registered"):
        issue_pass(authority, ask)
