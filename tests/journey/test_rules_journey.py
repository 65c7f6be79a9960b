"""A country's business rules reach a running gate by publication and decide there: by the age of a test."""

import base64
import json
import time

import pytest

from edge.cli.authority_ceremony import now
from tests.simulators.foreign import SIGNER, hcert_claims, make_hcert
from tests.simulators.health_rules import AGENTS, rule, sampled
from tests.simulators.running_gate import EighthRegion, RunningGate, edge
from tests.simulators.shc import KID

HOUR, DAY = 3600, 86_400


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """An authority that admits Austrian certificates of tests and asks nothing of them yet."""
    made = EighthRegion(tmp_path_factory.mktemp("rules"))
    x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (SIGNER.public[1:33], SIGNER.public[33:]))
    folder = made.country.parent
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID, "x": x, "y": y}
    (folder / "jwks.json").write_text(json.dumps({"keys": [key]}))
    names = ("--name-zh", "欧盟", "--name-en", "EU", "--outcome", "accept")
    what = ("--issuer", "dcc", "--format", "hcert", "--claimed", "AT", "--kind", "test")
    edge("authority", "anchors", "add", made.country, folder / "jwks.json", *what, *names)
    policy = json.loads((made.country / "sources/national/policy.json").read_text())
    wanted = {**policy, "formats": [*policy["formats"], "hcert"], "kinds": [*policy["kinds"], "test"]}
    (folder / "plain.json").write_text(json.dumps(wanted))
    ruled = {**wanted, "rules": {"certlogic": [{"kinds": ["test"], "country": "AT", "outcome": "reject"}]}}
    (folder / "ruled.json").write_text(json.dumps({**ruled, "schema": 3}))
    (folder / "rules.json").write_text(json.dumps([AGENTS, rule()]))
    edge("authority", "set-policy", made.country, folder / "plain.json")
    made.publish()
    made.refresh()
    return made


def certificate(hours: int, number: int = 0) -> str:
    """A test's certificate whose sample was taken some hours ago; each number is another one."""
    at = now()
    claims = hcert_claims(sampled(at - hours * HOUR - number), iat=at - hours * HOUR, exp=at + 300 * DAY)
    return make_hcert(claims, protected={1: -7, 4: KID.encode()}).decode()


def test_a_published_rule_refuses_an_old_test_and_lets_a_fresh_one_pass(country):
    """Before the publication both pass; after it the old one is rejected, with the rule's name and words."""
    folder = country.country.parent
    with RunningGate(folder) as gate:
        before = gate.show(certificate(80))
        edge("authority", "rules", "import", country.country, folder / "rules.json")
        edge("authority", "set-policy", country.country, folder / "ruled.json")
        country.publish()
        country.refresh()
        # The gate looks for new trust by itself, within the second.
        after = before
        for number in range(1, 100):
            after = gate.show(certificate(80, number))
            if after["outcome"] != "accept":
                break
            time.sleep(0.1)
        fresh = gate.show(certificate(20))
    logged = json.loads(edge("scans", "list", "--state", gate.state, "--last", 2, "--json").splitlines()[0])

    assert before["outcome"] == "accept"
    assert (after["outcome"], after["reason"]) == ("reject", "rule.failed")
    assert after["details"] == {"rule": "TR-AT-0001 1.0.0"}
    assert after["rule_says"]["zh"] == "采样须在72小时内。"
    assert after["holder"] is None
    assert (fresh["outcome"], fresh["reason"]) == ("accept", "ok")
    assert "rule.failed" in json.dumps(logged)
    assert "TR-AT" not in json.dumps(logged)
