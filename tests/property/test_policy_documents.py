"""Any JSON in a policy is a policy or a refusal that says where; under any policy every pass gets a verdict."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import TrustError
from edge.model.verdict import Verdict
from edge.policy import plain
from edge.policy.compare import under
from edge.policy.examine import examine
from edge.trust import policies
from edge.trust.fields import Document
from tests.property.test_laws import PASSES
from tests.simulators.world import TRUST, context
from tests.unit.test_policy_rules import POLICY, RELAY, RULED

WHOLE = {
    **POLICY,
    "formats": ["hp1", "server_token"],
    "rules": {**RULED, "relays": [RELAY]},
    "next": {**{name: value for name, value in POLICY.items() if name != "schema"}, "version": 4}
    | {"effective_at": "2029-01-01T00:00:00Z"},
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["person", "green"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(value, path=()):
    """Yield the path of every value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = [path for path in places(WHOLE) if path]


def changed(path, value):
    """Return the whole policy with one value replaced."""
    found = copy.deepcopy(WHOLE)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_is_a_policy_or_a_refusal_with_its_place(path, value):
    """Never another exception; what is taken can be said in words and decides every pass."""
    try:
        found = policies.policy(Document(json.dumps(changed(path, value)).encode(), "national/policy.json"))
    except TrustError as refused:
        said = str(refused)
    else:
        said = " ".join(plain.sentences(found, "zh", dict.fromkeys(plain.times_of(found), "-")))
        for code in PASSES.values():
            verdict = examine(code, context(trust=under(TRUST, found)))

            assert isinstance(verdict, Verdict)

    assert said


REQUIRED = [(name,) for name in WHOLE if name not in {"rules", "next"}] + [("next", name) for name in WHOLE["next"]]


@pytest.mark.parametrize("path", REQUIRED, ids="/".join)
def test_a_member_that_is_missing_is_named(path):
    """Half a policy is none: only `rules`, `next` and what stands in `rules` may be absent."""
    found = copy.deepcopy(WHOLE)
    del (found if len(path) == 1 else found["next"])[path[-1]]

    with pytest.raises(TrustError, match=f"{path[-1]} is missing"):
        policies.policy(Document(json.dumps(found).encode(), "national/policy.json"))


def test_every_rule_can_be_left_out_alone():
    """The format and the relays apart, which stand or fall together."""
    for name in RULED:
        found = copy.deepcopy(WHOLE)
        del found["rules"][name]

        assert policies.policy(Document(json.dumps(found).encode(), "national/policy.json")).rules != WHOLE_RULES


WHOLE_RULES = policies.policy(Document(json.dumps(WHOLE).encode(), "national/policy.json")).rules
