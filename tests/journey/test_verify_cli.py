"""`edge verify` as a person uses it: codes, pictures, files and standard input, offline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EDGE = [sys.executable, "-m", "edge"]


def edge(*words, given=None, check=True):
    done = subprocess.run([*EDGE, *map(str, words)], input=given, capture_output=True, timeout=120, check=False)
    assert b"Traceback" not in done.stderr
    if check:
        assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """An authority with all seven issuers and one pass, as text and picture."""
    folder = tmp_path_factory.mktemp("authority") / "a"
    edge("authority", "init", folder)
    edge("authority", "add-issuer", folder, "--profile", "all")
    edge("authority", "publish", folder)
    text, picture = folder.parent / "pass.txt", folder.parent / "pass.png"
    holder = json.dumps({"surname": "张", "id_tail": "3416", "name": "张*伟"}).encode()
    issue = ["authority", "issue", folder, "--issuer", "6101", "--holder-file", "-", "--png", picture, "--out", text]
    edge(*issue, given=holder)
    return folder, text, picture


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_code_a_text_file_a_picture_and_standard_input_get_the_same_verdict(country):
    """Four ways in, one answer; only the name of the input differs."""
    folder, text, picture = country
    code = text.read_text().strip()
    given = rows(edge("verify", "--trust", folder, "--json", code, text, picture, "-", given=text.read_bytes() + b"\n"))

    assert [row.pop("input") for row in given] == ["1", "pass.txt", "pass.png", "2"]
    assert given == [given[0]] * 4
    assert (given[0]["outcome"], given[0]["reason"], given[0]["issuer"]) == ("accept", "ok", "6101")


def test_the_exit_code_is_zero_only_if_every_input_is_accepted(country):
    """One refusal among many fails the command, and every input is still answered."""
    folder, text, _ = country
    done = edge("verify", "--trust", folder, text, "https://example.com", text, check=False)

    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b"ACCEPT", b"REJECT", b"ACCEPT"]


def test_the_time_of_the_verdict_can_be_chosen(country):
    """A day later the pass has expired; ISO times and Unix seconds are taken."""
    folder, text, _ = country
    row = rows(edge("verify", "--trust", folder, "--json", text))[0]
    late = edge("verify", "--trust", folder, "--json", "--at", str(row["expires_at"]), text, check=False)

    assert rows(late)[0]["reason"] == "time.expired"
    assert edge("verify", "--trust", folder, "--at", "yesterday-ish", text, check=False).returncode == 3


def test_codes_that_look_like_options_or_long_names_are_codes(country):
    """A leading hyphen, a name longer than the file system takes, and a NUL-free blob."""
    folder, _, _ = country
    done = edge("verify", "--trust", folder, "--json", "-dash", "A" * 5000, "x/" * 3000, "--", "--bar", check=False)

    assert [row["reason"] for row in rows(done)] == ["credential.foreign"] * 4
    assert [row["input"] for row in rows(done)] == ["1", "2", "3", "4"]


def test_the_code_itself_is_never_printed(country):
    """Neither on success nor on refusal, in words or JSON."""
    folder, text, _ = country
    code = text.read_bytes().strip()
    forged = code[:-2] + (b"00" if not code.endswith(b"00") else b"11")
    for options in ([], ["--json"]):
        done = edge("verify", "--trust", folder, *options, code.decode(), forged.decode(), check=False)

        assert code[4:40] not in done.stdout + done.stderr
        assert "张".encode() not in done.stdout


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\x00broken", b"\x89PNG\r\n\x1a\nnope", b"\x00" * 5000, b"\n\n"])
def test_a_file_that_holds_no_code_is_answered_with_what_it_is(country, tmp_path, content):
    """Empty, broken pictures, zeros."""
    path = tmp_path / "odd"
    path.write_bytes(content)
    done = edge("verify", "--trust", country[0], "--json", path, check=False)

    assert done.returncode == 1
    assert rows(done)[0]["outcome"] == "reject"


def test_a_folder_and_an_unreadable_trust_are_said_plainly(country, tmp_path):
    """A folder is no input; a folder without trust is no trust."""
    assert rows(edge("verify", "--trust", country[0], "--json", tmp_path, check=False))[0]["problem"]
    done = edge("verify", "--trust", tmp_path, "x", check=False)

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"--trust" in done.stderr


def test_without_trust_a_pass_is_refused_for_that_reason(country):
    """Nothing is ever accepted by default."""
    if Path("/var/lib/edge/trust").exists():
        pytest.skip("this machine is a gate: it has trust of its own")
    done = edge("verify", "--json", country[1], check=False)

    assert (done.returncode, rows(done)[0]["reason"]) == (1, "trust.missing")
    assert b"--trust DIR" in done.stderr


def test_every_seven_systems_pass_is_accepted_and_a_revoked_one_refused(country, tmp_path):
    """Each ready profile issues a pass that verifies; after revocation and publication it does not."""
    folder = country[0]
    codes = []
    for issuer in ("11", "44", "50", "6101", "nhc", "cn"):
        holder = ["--region", "440106"] if issuer in {"nhc", "cn"} else []
        done = edge(
            "authority", "issue", folder, "--issuer", issuer, "--id-tail", "3416", "--surname", "李", "--json", *holder
        )
        codes.append(json.loads(done.stdout))
    trip = ["--issuer", "trip", "--kind", "travel", "--visited", "110000,440100", "--id-tail", "3416", "--json"]
    codes.append(json.loads(edge("authority", "issue", folder, *trip).stdout))
    verified = edge("verify", "--trust", folder, "--json", *(row["code"] for row in codes))

    assert [row["outcome"] for row in rows(verified)] == ["accept"] * 7
    edge("authority", "revoke", folder, "--issuer", "44", "--index", codes[1]["index"])
    edge("authority", "publish", folder)
    again = edge("verify", "--trust", folder, "--json", codes[1]["code"], check=False)
    assert rows(again)[0]["reason"] == "status.revoked"
