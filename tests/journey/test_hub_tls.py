"""A hub with a certificate of its own authority, as people run it: serve, enrol a gate, pull, each by its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.simulators.certificates import Authority
from tests.simulators.hub_gates import Clock, begin
from tests.simulators.hub_server import HubProcess


def edge(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `edge` and return what it said."""
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}, check=False
    )


def test_a_private_authority_is_enough_from_enrolment_to_pull(tmp_path: Path) -> None:
    """With its file everything goes; without it each command says what does not verify, and what to do."""
    authority = Authority(tmp_path)
    chain, key = authority.certify()
    first = begin(tmp_path / "hub", Clock())
    (first.home.path / "root.json").unlink()
    hub = HubProcess(first.home.path, "--tls-cert", chain, "--tls-key", key)
    toml = first.home.path / "hub.toml"
    toml.write_text(toml.read_text().replace(first.home.config.url, hub.url))
    code = json.loads(edge("hub", "invite", first.home.path, "--site", "N", "--lane", "1", "--json").stdout)["code"]
    token = first.home.path / "operator.token"
    gate = tmp_path / "gate"
    enroll = ("provision", "enroll", code, "--state", gate, "--json")

    refused = edge(*enroll)
    enrolled = edge(*enroll, "--ca-file", authority.file)
    unseen = edge("hub", "pull", "--hub", hub.url, "--token-file", token)
    pulled = edge("hub", "pull", "--hub", hub.url, "--token-file", token, EDGE_HUB_CA_FILE=str(authority.file))
    stopped, _ = hub.stop()

    assert hub.url.startswith("https://")
    assert (refused.returncode != 0, "does not verify" in refused.stderr) == (True, True)
    assert enrolled.returncode == 0, enrolled.stderr
    assert json.loads(enrolled.stdout)["hub"] == hub.url
    assert (unseen.returncode != 0, "--ca-file" in unseen.stderr) == (True, True)
    assert pulled.returncode == 0, pulled.stderr
    assert stopped == 0


def test_a_pair_that_does_not_fit_is_said_at_the_start(tmp_path: Path) -> None:
    """In one sentence and a next step, with no traceback; the hub does not begin."""
    authority = Authority(tmp_path)
    chain, _ = authority.certify()
    _, other = authority.certify("other")
    path = begin(tmp_path / "hub", Clock()).home.path

    said = edge("hub", "serve", path, "--port", "0", "--tls-cert", chain, "--tls-key", other)

    assert (said.returncode, said.stdout) == (3, "")
    assert "does not belong" in said.stderr
    assert "Traceback" not in said.stderr
