"""CertLogic suites: an expression with data and its value, or an expression with its faults (eu-dcc-business-rules)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from edge.conformance.cases import Case
from edge.errors import EncodingRefused
from edge.policy.certlogic import Expression
from edge.policy.certlogic_form import issues

_EXPRESSION: Final = "certLogicExpression"


class CertLogicCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = "certlogic"

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has an expression, and a value or a list of faults to come to."""
        return _EXPRESSION in members and ("expected" in members or "issues" in members)

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        members = case.members
        tree = members[_EXPRESSION]
        if "issues" in members:
            wanted = [(issue["expr"], issue["message"]) for issue in members["issues"]]
            return {"issues": wanted}, {"issues": issues(tree)}
        return {"value": members["expected"]}, {"value": _value(tree, members.get("data"))}


def _value(tree: Any, data: Any) -> Any:
    try:
        found = Expression.of(tree).evaluate(data)
    except EncodingRefused as error:
        return {"refused": error.message}
    return found.isoformat() if isinstance(found, datetime) else found


ADAPTER: Final = CertLogicCases()
