"""Business rules of health certificates in the EU's form, as a country publishes them."""

import json
from dataclasses import replace
from typing import Any

from edge.model.credential import PassKind
from edge.model.rules import HealthUse
from edge.model.trust import TrustSnapshot
from edge.trust.fields import Document, iso
from edge.trust.health_rules import health_rules
from tests.simulators.foreign import VACCINATION
from tests.simulators.world import DAY, NOW

FRESH = {
    "before": [
        {"plusTime": [{"var": "external.validationClock"}, 0, "hour"]},
        {"plusTime": [{"var": "payload.t.0.sc"}, 72, "hour"]},
    ]
}
"""A test is at most 72 hours old."""
AGENT = {"in": [{"var": "payload.t.0.tg"}, {"var": "external.valueSets.disease-agent-targeted"}]}
AGENTS = {
    "valueSetId": "disease-agent-targeted",
    "valueSetDate": "2021-04-27",
    "valueSetValues": {
        "840539006": {"display": "COVID-19", "lang": "en", "active": True, "version": "1", "system": ""}
    },
}


def rule(identifier: str = "TR-AT-0001", logic: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a rule in the EU's form; what its identifier says is said in its members too."""
    prefix, country, _ = identifier.split("-")
    type_ = {"GR": "General", "VR": "Vaccination", "TR": "Test", "RR": "Recovery", "IR": "General"}[prefix]
    return {
        "Identifier": identifier,
        "Type": "Invalidation" if prefix == "IR" else "Acceptance",
        "Country": country,
        "Version": "1.0.0",
        "SchemaVersion": "1.0.0",
        "Engine": "CERTLOGIC",
        "EngineVersion": "0.7.5",
        "CertificateType": type_,
        "Description": [
            {"lang": "en", "desc": "The sample was taken at most 72 hours ago."},
            {"lang": "zh", "desc": "采样须在72小时内。"},
        ],
        "ValidFrom": iso(NOW - 100 * DAY),
        "ValidTo": iso(NOW + 1000 * DAY),
        "AffectedFields": ["t.0", "t.0.sc"],
        "Logic": FRESH if logic is None else logic,
        **changes,
    }


def rules_document(*rows: dict[str, Any], codes: tuple[str, ...] = ("840539006",)) -> bytes:
    """Return the document of some rules and one value set, as it is published."""
    sets = [{"valueSetId": "disease-agent-targeted", "valueSetDate": "2021-04-27", "codes": list(codes)}]
    return json.dumps({"schema": 1, "value_sets": sets, "rules": rows}).encode()


def published(*rows: dict[str, Any], codes: tuple[str, ...] = ("840539006",)) -> Document:
    """Return the same, opened by its reader."""
    return Document(rules_document(*rows, codes=codes), "national/rules.json")


def ruled(trust: TrustSnapshot, *rows: dict[str, Any], outcome: str = "reject", country: str = "AT") -> TrustSnapshot:
    """Return trust whose policy lets some rules decide on tests."""
    use = HealthUse(frozenset({PassKind.TEST}), country, outcome)
    policy = trust.policy.under(replace(trust.policy.rules, health=(use,)))
    return replace(trust, policy=policy, health_rules=health_rules(published(*rows)))


def sampled(unix_s: int, **changes: Any) -> dict[str, Any]:
    """Return the certificate of a test whose sample was taken at a time."""
    person = {name: value for name, value in VACCINATION.items() if name != "v"}
    test = {"tg": "840539006", "tt": "LP6464-4", "sc": iso(unix_s), "tr": "260415000", "tc": "Center", "co": "AT"}
    return {**person, "t": [{**test, "is": "Ministry", "ci": "URN:UVCI:01:AT:TEST", **changes}]}
