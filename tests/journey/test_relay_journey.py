"""A live code at a gate of two processes: the policy names whom to ask, sync asks, the scanner part decides."""

import json
import subprocess
import time

from tests.simulators.operator import KEY, Operator
from tests.simulators.running_gate import EDGE, EighthRegion, RunningGate, edge


def test_a_live_code_is_asked_about_by_the_policy_that_was_published(tmp_path):
    """Before: named and referred. After publication: asked, green by the operator's signature. Link gone: referred."""
    country = EighthRegion(tmp_path)
    with Operator() as operator, RunningGate(tmp_path) as gate:
        sync = subprocess.Popen([*EDGE, "gate", "run", "--part", "sync", "--config", str(tmp_path / "gate.toml")])
        try:
            before = gate.show('{"label":"yss","data":"0"}')
            wait_for(gate.state / "relay.sock")
            _name(country, operator, tmp_path)
            after = gate.show_until_accepted([f'{{"label":"yss","data":"{number}"}}' for number in range(1, 60)])
        finally:
            sync.terminate()
            sync.wait(10)
        gone = gate.show('{"label":"yss","data":"last"}')

    assert (before["outcome"], before["reason"]) == ("refer", "credential.server_token")
    assert (after["outcome"], after["issuer"], after["status"]) == ("accept", "44", 0)
    assert (gone["outcome"], gone["reason"]) == ("refer", "relay.failed")
    assert not (gate.state / "relay.sock").exists()


def wait_for(path):
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def _name(country, operator, folder):
    """Publish a policy that names the operator."""
    policy = json.loads((country.country / "sources/national/policy.json").read_text())
    relay = {"family": "yuekang", "issuer": "44", "url": operator.url, "public": bytes(KEY.verify_key).hex()}
    wanted = {**policy, "formats": ["hp1", "server_token"], "rules": {"relays": [relay]}}
    (folder / "policy.json").write_text(json.dumps(wanted))
    edge("authority", "set-policy", country.country, folder / "policy.json")
    country.publish()
    country.refresh()
