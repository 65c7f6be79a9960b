"""Ceremonies, rotation, renewal and audit as people and scripts type them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.authority import keys
from edge.authority.authority import Authority
from edge.cli.authority import authority as authority_command
from edge.errors import PublicationError

PASSPHRASE = "five random words of this test"


def run(*words: object, input_: str | None = None) -> Result:
    """Run `edge authority ...`; our errors come through as they would to the command line's end."""
    return CliRunner(catch_exceptions=False).invoke(authority_command, [str(word) for word in words], input=input_)


def told(*words: object) -> Any:
    """Run a command and return its JSON."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """`country`, published, and two desks with a targets key each."""
    country = tmp_path / "country"
    for words in (
        ("init", country, "--no-provinces"),
        ("add-issuer", country, "--profile", "yuekang"),
        ("publish", country),
    ):
        assert run(*words).exit_code == 0
    for number in (1, 2, 3):
        (tmp_path / f"desk-{number}").mkdir()
        key = f"targets-{number}.key"
        (country / "keys" / key).rename(tmp_path / f"desk-{number}" / key)
    return tmp_path


def change(table: Path) -> Path:
    """Change something the targets role must sign, and return the request for it."""
    run("add-issuer", table / "country", "--profile", "nhc")
    file = table / "request.json"
    assert run("request", table / "country", "--out", file).exit_code == 0
    return file


def key(table: Path, number: int) -> Path:
    """Return a desk's key."""
    return table / f"desk-{number}" / f"targets-{number}.key"


def test_each_step_of_a_ceremony_names_the_next(table: Path) -> None:
    """request, sign, collect, publish."""
    run("add-issuer", table / "country", "--profile", "nhc")
    file = table / "request.json"

    assert "edge authority sign" in run("request", table / "country", "--out", file).output
    assert "edge authority collect" in run("sign", file, "--key", key(table, 1), "--yes").output
    run("sign", file, "--key", key(table, 3), "--yes")
    collected = run("collect", table / "country", *sorted(table.glob("*.signatures.json")))
    assert "signed by targets-1, targets-3; enough" in collected.output
    assert "edge authority publish" in collected.output
    assert "targets 2" in run("publish", table / "country").output


def test_a_ceremony_by_scripts(table: Path) -> None:
    """Every step in JSON."""
    run("add-issuer", table / "country", "--profile", "nhc")
    country = table / "country"

    asked = told("request", country)
    signed = [told("sign", asked["request"], "--key", key(table, n), "--yes")["signatures"] for n in (1, 2)]
    pending = told("collect", country, *signed)["pending"]

    assert [row["role"] for row in asked["roles"]] == ["targets"]
    assert all({"kind", "zh", "en"} <= set(change) for change in asked["changes"])
    assert pending == [{"role": "targets", "version": 2, "signed_by": ["targets-1", "targets-2"], "missing": 0}]
    assert told("publish", country)["signed"] == ["targets"]


def test_a_desk_is_asked_in_both_languages_and_may_say_no(table: Path) -> None:
    """What changes stands above the question; a no signs nothing."""
    file = change(table)

    with pytest.raises(PublicationError, match="Nothing was signed"):
        run("sign", file, "--key", key(table, 1), input_="n\n")
    result = run("sign", file, "--key", key(table, 1), input_="y\n")

    assert "national/issuers.json changes" in result.output
    assert "变更 national/issuers.json" in result.output
    assert "for the first time" in result.stderr


def test_a_desk_that_is_given_a_root_compares_it(table: Path) -> None:
    """Another authority's root ends it before anything is signed."""
    file = change(table)
    run("init", table / "other")
    root = "publication/metadata/1.root.json"

    with pytest.raises(PublicationError, match="does not come from the authority"):
        run("sign", file, "--key", key(table, 1), "--yes", "--root", table / "other" / root)
    assert run("sign", file, "--key", key(table, 1), "--yes", "--root", table / "country" / root).exit_code == 0
    assert "first time" not in run("sign", file, "--key", key(table, 1), "--yes").stderr


def test_a_sealed_key_signs_with_the_passphrase_of_a_file(table: Path) -> None:
    """Without it, and with nobody to ask, the next step is told."""
    file = change(table)
    (table / "passphrase").write_text(PASSPHRASE + "\n")
    run("protect", key(table, 1), "--new-passphrase-file", table / "passphrase")

    with pytest.raises(PublicationError, match="--passphrase-file"):
        run("sign", file, "--key", key(table, 1), "--yes")
    result = run("sign", file, "--key", key(table, 1), "--yes", "--passphrase-file", table / "passphrase")

    assert result.exit_code == 0
    assert PASSPHRASE not in result.output


def test_a_passphrase_is_set_changed_and_taken_away(table: Path) -> None:
    """The key stays the same."""
    before = bytes(keys.load(key(table, 1), None))
    for number, text in enumerate((PASSPHRASE, PASSPHRASE + " again")):
        (table / f"passphrase-{number}").write_text(text)
    first, second = table / "passphrase-0", table / "passphrase-1"

    run("protect", key(table, 1), "--new-passphrase-file", first)
    run("protect", key(table, 1), "--passphrase-file", first, "--new-passphrase-file", second)
    assert bytes(keys.load(key(table, 1), lambda _: second.read_bytes())) == before
    run("protect", key(table, 1), "--passphrase-file", second, "--remove")

    assert key(table, 1).read_bytes() == before
    assert key(table, 1).stat().st_mode & 0o777 == 0o600


def test_a_new_key_is_private_and_its_public_half_is_a_file(table: Path) -> None:
    """The half goes to the centre on a stick; a key is never overwritten."""
    made = told("new-key", table / "desk-1/new.key", "--plain")

    assert (table / "desk-1/new.key").stat().st_mode & 0o777 == 0o600
    assert (table / "desk-1/new.pub").read_text().strip() == made["public"]
    rotated = told("rotate", table / "country", "targets-1", "--public-file", table / "desk-1/new.pub")["rotated"]
    assert rotated == [{"role": "targets", "old": "targets-1", "new": "targets-1.2", "public": made["public"]}]
    with pytest.raises(PublicationError, match="never overwritten"):
        run("new-key", table / "desk-1/new.key", "--plain")


def test_the_public_half_is_named_one_way(table: Path) -> None:
    """Hexadecimal digits, in an option or a file."""
    (table / "x.pub").write_text("xyz")

    assert run("rotate", table / "country", "root-1", "--public", "xyz").exit_code == 2
    assert run("rotate", table / "country", "root-1", "--public-file", table / "x.pub").exit_code == 2
    assert run("rotate", table / "country", "root-1", "--public", "00", "--public-file", "x").exit_code == 2
    with pytest.raises(PublicationError, match="32 bytes"):
        run("rotate", table / "country", "root-1", "--public", "00")
    with pytest.raises(PublicationError, match="Name one key"):
        run("rotate", table / "country", "root", "--public", "00" * 32)


def test_status_says_what_is_where_and_what_waits(table: Path) -> None:
    """For people and for scripts, before and after the request."""
    file = change(table)
    found = told("status", table / "country")
    roles = {row["role"]: row for row in found["roles"]}

    assert [held["kept"] for held in roles["targets"]["keys"]] == ["elsewhere"] * 3
    assert [held["kept"] for held in roles["root"]["keys"]] == ["plain"] * 5
    assert found["to_sign"] == [{"role": "targets", "version": 2, "cause": "changed"}]
    assert found["pending"][0]["missing"] == 2
    assert (found["log_entries"], found["problem"]) == (1, "")
    text = run("status", table / "country").output
    assert "to sign: targets 2 (changed)" in text
    assert "signed by nobody; 2 missing" in text
    assert file.exists()


def test_status_tells_what_cannot_be_published(table: Path) -> None:
    """A slip in a source hides nothing else."""
    place = table / "country/sources/national/policy.json"
    place.write_text(place.read_text().replace('"travel_days"', '"travel_day"'))

    assert "travel_day" in told("status", table / "country")["problem"]


def test_a_request_is_discarded(table: Path) -> None:
    """What it asked for stays in the sources."""
    change(table)

    run("discard", table / "country")

    assert told("status", table / "country")["pending"] == []
    assert told("status", table / "country")["to_sign"] != []


def test_the_sunset_is_shown_and_set(table: Path) -> None:
    """A time in the past or no time at all is refused."""
    result = run("sunset", table / "country", "2099-01-01T00:00:00Z")

    assert "policies may run until 2099-01-01T00:00:00Z (so far: " in result.output
    assert told("publish", table / "country")["root"] == 2
    assert run("sunset", table / "country", "tomorrow").exit_code == 2
    with pytest.raises(PublicationError, match="in the past"):
        run("sunset", table / "country", "2020-01-01T00:00:00Z")


def test_a_file_is_approved_by_its_path(table: Path) -> None:
    """The hash is that of the file as it would be published; another path is named."""
    path = "issuers/44/status/1.cbor"

    assert told("cosign", table / "country", path)["cosigned"][0]["path"] == path
    with pytest.raises(PublicationError, match="not among the files"):
        run("cosign", table / "country", "issuers/44/status/9.delta.1")


def test_a_province_and_a_prefecture_by_options(tmp_path: Path) -> None:
    """As in the guide."""
    country = tmp_path / "country"

    run("init", country, "--provinces")

    assert "prefecture-6101: 2 of" in run("delegate", country, "6101").output
    with pytest.raises(PublicationError, match="already a role prefecture-6101"):
        run("delegate", country, "6101")


def test_an_upgrade_by_options(table: Path) -> None:
    """Provinces later; a second time there is nothing to do."""
    assert len(told("upgrade", table / "country", "--provinces")["roles"]) == 35
    assert "has all its roles" in run("upgrade", table / "country", "--provinces").output


def test_renewing_and_auditing_by_scripts(table: Path) -> None:
    """The exit code says whether the log holds."""
    country = table / "country"
    assert told("renew", country) == {"timestamp": 2, "snapshot": 1, "warnings": []}
    found = told("audit", country)
    assert (found["holds"], found["entries"], found["entry"]) == (True, 2, None)
    assert "All 2 publications hold" in run("audit", country / "publication").output

    entries = country / "publication/log/entries.ndjson"
    entries.write_bytes(entries.read_bytes().replace(b'"seq":1', b'"seq":2'))
    broken = run("audit", country, "--json")

    assert (broken.exit_code, json.loads(broken.stdout)["entry"]) == (1, 1)
    assert "Entry 1 does not hold" in run("audit", country).output


def test_an_older_checkpoint_is_held_against_the_log(table: Path) -> None:
    """As an auditor keeps one."""
    old = table / "checkpoint"
    old.write_bytes((table / "country/publication/log/checkpoint").read_bytes())
    run("renew", table / "country")

    assert run("audit", table / "country", "--checkpoint", old).exit_code == 0
    old.write_bytes(b"no checkpoint")
    assert run("audit", table / "country", "--checkpoint", old).exit_code == 1


def test_an_issuers_key_is_taken_back(table: Path) -> None:
    """Its row goes; a key that is not there is named."""
    country = table / "country"
    source = country / "sources/issuers/44/keys.json"
    kid = json.loads(source.read_bytes())["keys"][0]["kid"]

    run("revoke-key", country, "--issuer", "44", "--key-id", kid)

    assert json.loads(source.read_bytes())["keys"] == []
    for issuer in ("44", "99"):
        with pytest.raises(PublicationError, match="has no key"):
            run("revoke-key", country, "--issuer", issuer, "--key-id", kid)


def test_keys_without_a_passphrase_are_told(tmp_path: Path) -> None:
    """`init` for a demonstration warns; with a passphrase the keys of people are sealed."""
    (tmp_path / "passphrase").write_text(PASSPHRASE)

    assert "no passphrase" in run("init", tmp_path / "demo").stderr
    sealed = run("init", tmp_path / "country", "--passphrase-file", tmp_path / "passphrase")

    assert sealed.stderr == ""
    assert Authority.open(tmp_path / "country").keys.is_sealed("root-1")


@pytest.mark.parametrize("name", ["request.json", "signatures.json"])
def test_a_damaged_pending_file_is_named(table: Path, name: str) -> None:
    """The next step asks for it anew."""
    change(table)
    (table / "country/pending" / name).write_bytes(b"\xff")

    with pytest.raises(PublicationError, match=name):
        run("publish", table / "country")


@pytest.mark.parametrize("command", ["collect", "sign"])
def test_any_file_on_the_stick_is_answered(table: Path, command: str) -> None:
    """Missing, empty, too long, something else."""
    change(table)
    for content in (b"", b"\x00" * 100, b"{}", b"x" * (6 << 20)):
        (table / "stick").write_bytes(content)
        words = (table / "country", table / "stick") if command == "collect" else (table / "stick",)
        with pytest.raises(PublicationError, match="stick"):
            run(command, *words, *(() if command == "collect" else ("--key", key(table, 1), "--yes")))
    (table / "stick").unlink()
    words = (table / "country", table / "stick") if command == "collect" else (table / "stick",)
    with pytest.raises(PublicationError, match="cannot be read"):
        run(command, *words, *(() if command == "collect" else ("--key", key(table, 1), "--yes")))


def test_a_renewal_of_nothing_is_answered(tmp_path: Path) -> None:
    """A folder that holds no publication, and an authority that has not published."""
    run("init", tmp_path / "country")

    with pytest.raises(PublicationError, match="published nothing yet"):
        run("renew", tmp_path / "country")
    with pytest.raises(PublicationError, match="cannot be"):
        run("renew", tmp_path / "nothing")
