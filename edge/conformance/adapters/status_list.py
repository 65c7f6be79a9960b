"""Token Status Lists: packed lists with the status of some indices, and signed CWTs (draft-ietf-oauth-status-list)."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from edge.codec import foreign_cbor
from edge.codec.cose import Sign1
from edge.codec.foreign_cose import open_sign1
from edge.conformance.cases import Case
from edge.errors import EncodingRefused, ListRefused
from edge.model.trust import ES256
from edge.trust import status_list
from edge.verify.signatures import VERIFIERS

_STATUS: Final = 65535
_STATUS_LIST: Final = 65533
"""CWT claims (there, 5.2 and 6.3)."""


class StatusListCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = "status-list"

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a list and its width, or a signed message and nothing else but what it must come to."""
        return {"bits", "cbor"} <= members.keys() or {"id", "cose", "expect"} == members.keys()

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came: the status at every index that is named."""
        members = case.members
        if "cose" in members:
            return {"expect": members["expect"]}, {"expect": "ok" if _is_signed(case) else "refused"}
        expected = {"bits": members["bits"], "bytes": members["bytes"], **members.get("set", {})}
        try:
            found = status_list.parse(bytes.fromhex(members["cbor"]), case.id)
        except ListRefused as error:
            return expected, {"bits": error.message}
        got = {index: found.status(int(index)) for index in members.get("set", {})}
        return expected, {"bits": found.bits, "bytes": len(found.entries), **got}


def _is_signed(case: Case) -> bool:
    try:
        message = open_sign1(bytes.fromhex(case.members["cose"]))
        return VERIFIERS[ES256](_key(case), message.to_be_signed, message.signature) and _says_status(message)
    except (EncodingRefused, ListRefused):
        return False


def _key(case: Case) -> bytes:
    key = json.loads(case.beside("key.json"))
    x, y = (base64.urlsafe_b64decode(key[name] + "=" * (-len(key[name]) % 4)) for name in ("x", "y"))
    return b"\x04" + x + y


def _says_status(message: Sign1) -> bool:
    """Whether the signed claims hold a list, or the place of a token's status in one."""
    claims = foreign_cbor.decode(message.payload)
    if _STATUS_LIST in claims:
        return bool(status_list.from_members(claims[_STATUS_LIST], "token").entries)
    place = claims.get(_STATUS, {}).get("status_list", {})
    return type(place.get("idx")) is int and type(place.get("uri")) is str


ADAPTER: Final = StatusListCases()
