"""`edge trust status` and `edge trust explain`: who signed what, what changed, and why an issuer is believed."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from edge.cli import trust_told
from edge.cli.trust import trust as trust_command
from edge.errors import TrustMissing, TrustRefused
from edge.trust import changes
from edge.trust.chain import chain_of
from edge.trust.picture import svg
from edge.trust.store import TrustStore
from edge.trust.workflow import COSIGNED, SUNSET
from tests.simulators.repository import DAY, NOW, Repository, document, province, words
from tests.unit.test_trust_delegations import keys_of
from tests.unit.test_trust_store import damage

HOSTILE = '西安 <script>&"'


@pytest.fixture
def repository() -> Repository:
    """Xi'an under Shaanxi; the root sets a sunset."""
    found = Repository()
    rows = [("44", "粤康码", 440000), ("61", "陕西一码通", 610000), ("6101", HOSTILE, 610100)]
    found.targets["national/issuers.json"] = document(
        issuers=[{"id": id_, "names": words(name, name), "region": region} for id_, name, region in rows]
    )
    found.delegate("province-61", province("61")).targets["issuers/61/keys.json"] = keys_of("61")
    xian = found.delegate("prefecture-6101", province("6101"), delegator="province-61")
    xian.targets["issuers/6101/keys.json"] = keys_of("6101")
    found.root_fields[SUNSET] = "2027-01-01T00:00:00Z"
    found.publish_root()
    found.publish()
    return found


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> TrustStore:
    """A store that has been refreshed once."""
    found = TrustStore.init(tmp_path / "trust", repository.first_root)
    found.refresh(repository, NOW)
    return found


def told(store: TrustStore, now: int = NOW) -> dict[str, Any]:
    """Return the status as JSON holds it."""
    return trust_told.status(store.view(), store.load(), store.last_changes(), now)


def edge(*words_: object) -> Result:
    """Run `edge trust ...`."""
    return CliRunner(catch_exceptions=False).invoke(trust_command, [str(word) for word in words_])


# Status


def test_each_role_says_who_of_whom_signed(store: TrustStore, repository: Repository) -> None:
    """Key ids, how many were needed and how many there are, down to the prefecture."""
    roles = {role["name"]: role for role in told(store)["roles"]}
    signers = [signer.public_key.keyid[:8] for signer in repository.delegated["province-61"].signers[:2]]

    assert list(roles) == ["root", "timestamp", "snapshot", "targets", "province-61", "prefecture-6101"]
    assert sorted(signers) == roles["province-61"]["signed_by"]
    assert (roles["province-61"]["threshold"], roles["province-61"]["keys"]) == (2, 3)
    assert (roles["root"]["threshold"], roles["root"]["keys"]) == (2, 3)


def test_bands_expiry_sizes_and_sunset_are_told(store: TrustStore) -> None:
    """When it turns stale and too old, which role runs out first, how much there is."""
    found = told(store)

    assert (found["stale_at"], found["too_old_at"]) == ("2026-01-02T00:00:00Z", "2026-01-31T00:00:00Z")
    assert (found["next_expiry"], found["next_expiry_role"]) == ("2026-01-31T00:00:00Z", "timestamp")
    assert found["metadata_bytes"] == sum(role["bytes"] for role in found["roles"])
    assert found["files"] == len(list((store.folder / "targets").iterdir()))
    assert found["sunset"] == "2027-01-01T00:00:00Z"
    assert "EXPIRED" in trust_told.status_lines(told(store, NOW + 31 * DAY))


def test_what_the_last_refresh_changed_is_told(store: TrustStore, repository: Repository) -> None:
    """Versions before and after, files that came, changed and went; a refresh without news keeps the last."""
    del repository.targets["issuers/44/status/1.cbor"]
    repository.targets["national/regions.json"] += b" "
    repository.delegate("province-62", province("62"))
    repository.publish()
    store.refresh(repository, NOW + 60)
    store.refresh(repository, NOW + 120)
    found = told(store)["changes"]

    assert found["at"] == "2026-01-01T00:01:00Z"
    assert found["versions"]["targets"] == (2, 3)
    assert (found["added"], found["changed"], found["removed"]) == (
        (),
        ("national/regions.json",),
        ("issuers/44/status/1.cbor",),
    )


def test_the_first_refresh_brought_everything(store: TrustStore) -> None:
    """Nothing before, all of it after."""
    found = told(store)["changes"]

    assert found["versions"]["root"] == (None, 2)
    assert len(found["added"]) == told(store)["files"]


@pytest.mark.parametrize("record", [None, b"", b"{}", b"[]", b"\xff", b'{"at": 1, "versions": {"x": 1}}'])
def test_changes_that_cannot_be_read_are_not_known(record: bytes | None) -> None:
    """They are for people: a store of an older version, or a damaged record, decides nothing."""
    assert changes.read(record) is None


def test_a_damaged_record_of_changes_stops_nothing(store: TrustStore) -> None:
    """The view loads, and the status says that it is not known."""
    damage(store, "view.changes")

    assert "not known" in trust_told.status_lines(told(store))


def test_status_prints_for_people_and_scripts(store: TrustStore) -> None:
    """Exit 1 once the data is not fresh; both forms say the same."""
    plain, script = edge("status", "--trust", store.folder), edge("status", "--trust", store.folder, "--json")

    assert plain.exit_code == script.exit_code == 1
    assert "prefecture-6101" in plain.output
    assert json.loads(script.output)["roles"][0]["name"] == "root"


def test_a_province_that_was_left_out_is_named(store: TrustStore, repository: Repository, tmp_path: Path) -> None:
    """What came expired is missing, and the status says so."""
    repository.delegated["prefecture-6101"].expires_in = -DAY
    repository.publish()
    new = TrustStore.init(tmp_path / "new", repository.first_root)
    new.refresh(repository, NOW)

    assert "missing  prefecture-6101" in trust_told.status_lines(told(new))


# Explain


def test_the_chain_goes_from_the_root_to_the_keys(store: TrustStore) -> None:
    """Each role is named by the one above; the last lists the file."""
    chain = chain_of(store.view(), store.load(), "6101")

    assert [role.name for role in chain.roles] == ["root", "targets", "province-61", "prefecture-6101"]
    assert chain.roles[2].may_list == province("61")
    assert [key.key_id.hex() for key in chain.keys] == ["0badcafe"]


def test_an_issuer_of_the_top_level_role_has_a_short_chain(store: TrustStore) -> None:
    """Flat publications explain themselves, too."""
    assert [role.name for role in chain_of(store.view(), store.load(), "44").roles] == ["root", "targets"]


def test_an_unknown_issuer_is_answered_with_the_known_ones(store: TrustStore) -> None:
    """A slip of the finger gets the list."""
    with pytest.raises(TrustMissing, match="44, 61, 6101"):
        chain_of(store.view(), store.load(), "62")


def test_an_issuer_without_keys_says_so(store: TrustStore, repository: Repository) -> None:
    """In the registry, and nobody vouches for a key."""
    repository.delegated["prefecture-6101"].targets.clear()
    repository.publish()
    store.refresh(repository, NOW)
    with pytest.raises(TrustMissing, match="No role lists keys"):
        chain_of(store.view(), store.load(), "6101")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_words_name_every_role_and_signer(store: TrustStore, language: str) -> None:
    """Both languages name the same things."""
    chain = chain_of(store.view(), store.load(), "6101")
    text = trust_told.chain_lines(chain, language)

    for role in chain.roles:
        assert f"{role.name} v{role.version}" in text
        assert all(id_ in text for id_ in role.signed_by)
    assert chain.digest in text
    assert "0badcafe" in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_picture_is_well_formed_whatever_a_name_holds(store: TrustStore, language: str) -> None:
    """A signed name cannot put markup into the picture."""
    tree = ET.fromstring(svg(chain_of(store.view(), store.load(), "6101"), language))  # noqa: S314  # drawn by us a line above
    said = [node.text or "" for node in tree.iter("{http://www.w3.org/2000/svg}text")]

    assert any(HOSTILE in text for text in said)
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}circle"))) == 3 + 1 + 3 + 3
    assert any("prefecture-6101" in text for text in said)


def test_explain_draws_into_a_file(store: TrustStore, tmp_path: Path) -> None:
    """The words on the screen, the picture beside."""
    done = edge("explain", "61", "--trust", store.folder, "--svg", tmp_path / "chain.svg")
    script = edge("explain", "61", "--trust", store.folder, "--json")

    assert done.exit_code == 0
    assert (tmp_path / "chain.svg").read_text(encoding="utf-8").startswith("<svg")
    assert [role["name"] for role in json.loads(script.output)["roles"]] == ["root", "targets", "province-61"]


# What the signed metadata carries for others


def test_the_roots_sunset_reaches_the_snapshot(store: TrustStore) -> None:
    """Until when policies may run, whatever they say."""
    assert store.load().sunset == store.provenance().sunset == NOW + 365 * DAY


@pytest.mark.parametrize("sunset", ["soon", "", 7, {}, "2027-01-01", "2027-01-01T00:00:00"])
def test_a_malformed_sunset_is_refused_and_mended_by_the_next_root(
    store: TrustStore, repository: Repository, sunset: object
) -> None:
    """The view of before stays; a gate is not stuck at a root that people signed by mistake."""
    before = store.load()
    repository.root_fields[SUNSET] = sunset
    repository.publish_root()
    repository.publish()
    with pytest.raises(TrustRefused, match="end of policies"):
        store.refresh(repository, NOW)
    assert store.load() == before
    repository.root_fields[SUNSET] = "2028-01-01T00:00:00Z"
    repository.publish_root()
    store.refresh(repository, NOW)

    assert store.load().sunset == 1830297600


def test_co_signed_files_are_handed_on(store: TrustStore, repository: Repository) -> None:
    """Pairs of path and hash, from the top-level role alone."""
    rows = [{"path": "issuers/61/status/1.delta.7", "sha256": "ab" * 32}]
    assert store.provenance().cosigned == frozenset()
    repository.targets_fields[COSIGNED] = rows
    repository.publish()
    store.refresh(repository, NOW)

    assert store.provenance().cosigned == {("issuers/61/status/1.delta.7", "ab" * 32)}


@pytest.mark.parametrize(
    "rows", ["x", 1, {}, [1], [{}], [{"path": "p"}], [{"path": 1, "sha256": "a"}], [{"path": [], "sha256": "a"}]]
)
def test_malformed_co_signatures_are_refused(store: TrustStore, repository: Repository, rows: object) -> None:
    """The view of before stays."""
    repository.targets_fields[COSIGNED] = rows
    repository.publish()
    with pytest.raises(TrustRefused, match="x-edge-cosigned"):
        store.refresh(repository, NOW)


# The commands of the client protocol, on this gate's own store


def test_init_pins_a_root_and_download_gives_a_verified_target(
    repository: Repository, store: TrustStore, tmp_path: Path
) -> None:
    """Without --metadata-dir the same words work on the store."""
    (tmp_path / "root.json").write_bytes(repository.first_root)
    begun = edge("init", tmp_path / "root.json", "--trust", tmp_path / "new")
    name, into = "issuers/6101/keys.json", tmp_path / "out"
    given = edge("--target-name", name, "--target-dir", into, "download", "--trust", store.folder)

    assert (begun.exit_code, given.exit_code) == (0, 0)
    assert Path(given.output.strip()).read_bytes() == repository.delegated["prefecture-6101"].targets[name]
    with pytest.raises(TrustMissing, match="no target"):
        edge("--target-name", "x", "--target-dir", into, "download", "--trust", store.folder)


def test_a_root_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A slip in the path of the root."""
    with pytest.raises(TrustMissing, match=r"absent\.json"):
        edge("init", tmp_path / "absent.json", "--trust", tmp_path / "new")
