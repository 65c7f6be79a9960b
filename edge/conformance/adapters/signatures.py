"""Signature suites: a key a group, message, signature, and whether it is valid (Wycheproof); edge cases of Ed25519."""

from collections.abc import Mapping
from typing import Any, Final

from edge.codec import ecdsa_der
from edge.conformance.cases import Case
from edge.errors import EncodingRefused
from edge.model.trust import EDDSA, ES256
from edge.trust.anchors import unusable
from edge.verify.signatures import VERIFIERS

_ED25519, _FIXED, _DER = "EddsaVerify", "EcdsaP1363Verify", "EcdsaVerify"
_P256_BYTES: Final = 32
_UNLABELLED: Final = frozenset(("message", "pub_key", "signature"))


class SignatureCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = "signatures"

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it is a test of Ed25519, or of P-256 with SHA-256, or an unlabelled row of Ed25519."""
        if members.keys() == _UNLABELLED:
            return True
        key = members.get("publicKey")
        if not isinstance(key, dict) or "sig" not in members or members.get("result") not in {"valid", "invalid"}:
            return False
        if members.get("type") == _ED25519:
            return key.get("curve") == "edwards25519"
        is_p256 = key.get("curve") == "secp256r1" and members.get("sha") == "SHA-256"
        return is_p256 and members.get("type") in {_FIXED, _DER}

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        members = case.members
        if members.keys() == _UNLABELLED:
            # ed25519-speccheck: keys and signatures that verifiers disagree about; ours holds for none of them.
            return {"result": "invalid"}, {"result": "valid" if _is_trusted(members) else "invalid"}
        key, signature = members["publicKey"], bytes.fromhex(members["sig"])
        is_edwards = members["type"] == _ED25519
        public = bytes.fromhex(key["pk"] if is_edwards else key["uncompressed"])
        if members["type"] == _DER:
            try:
                signature = ecdsa_der.to_fixed(signature, _P256_BYTES)
            except EncodingRefused:
                signature = b""
        holds = VERIFIERS[EDDSA if is_edwards else ES256](public, bytes.fromhex(members["msg"]), signature)
        return {"result": members["result"]}, {"result": "valid" if holds else "invalid"}


def _is_trusted(members: Mapping[str, Any]) -> bool:
    """As at a gate: a key that nothing should be verified under never becomes an anchor."""
    public, message, signature = (bytes.fromhex(members[name]) for name in ("pub_key", "message", "signature"))
    return not unusable(EDDSA, public) and VERIFIERS[EDDSA](public, message, signature)


ADAPTER: Final = SignatureCases()
