"""One credential of every format that other systems issue, with what a gate believes of its signer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from edge.codec.cose import to_be_signed
from edge.credentials import aadhaar, claim169, hcert, nzcp, pretix, shc, twoddoc, vc, vdsnc
from edge.credentials.format import Format
from edge.model.trust import PS256, Anchor
from tests.simulators import claim169 as identities
from tests.simulators import foreign, seals, tickets
from tests.simulators import nzcp as passes
from tests.simulators import shc as cards
from tests.simulators import vc as badges
from tests.unit import test_aadhaar, test_twoddoc

_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)


@dataclass(frozen=True, slots=True)
class Shown:
    """A code that a gate accepts which believes its anchor.

    Attributes:
        known: Its format.
        code: The code.
        anchor: The key it is signed with, or its signer's certificate is.
    """

    known: Format
    code: bytes
    anchor: Anchor


def _hcert_ps256() -> Shown:
    payload, header = cbor2.dumps(foreign.hcert_claims()), cbor2.dumps({1: PS256, 4: foreign.KEY_ID})
    signature = test_aadhaar.KEY.sign(to_be_signed(header, payload), _PSS, hashes.SHA256())
    message = cbor2.dumps(cbor2.CBORTag(18, [header, {}, payload, signature]))
    anchor = replace(foreign.ANCHOR, algorithm=PS256, public=test_aadhaar.PUBLIC)
    return Shown(hcert.FORMAT, foreign.hcert_code(message), anchor)


def _identity() -> bytes:
    # Without the tag of CWT, which the format allows and the library that others use does not read.
    message = identities.id_message(cbor2.dumps(identities.id_claims()))
    return identities.id_code(cbor2.dumps(cbor2.CBORTag(18, message)))


CODES: Mapping[str, Shown] = {
    "hcert, ES256": Shown(hcert.FORMAT, foreign.make_hcert(), foreign.ANCHOR),
    "hcert, PS256": _hcert_ps256(),
    "shc": Shown(shc.FORMAT, cards.make_shc(), cards.SHC_ANCHOR),
    "nzcp": Shown(nzcp.FORMAT, passes.make_nzcp(), passes.NZCP_ANCHOR),
    "claim169, EdDSA": Shown(claim169.FORMAT, _identity(), identities.ID_ANCHOR),
    "vc": Shown(vc.FORMAT, badges.make_sd(), badges.VC_ANCHOR),
    "vc, W3C": Shown(vc.FORMAT, badges.make_w3c(), badges.VC_ANCHOR),
    "pretix": Shown(pretix.FORMAT, tickets.make_ticket(), tickets.EVENT_ANCHOR),
    "vdsnc": Shown(vdsnc.FORMAT, seals.make_seal(), seals.CSCA_ANCHOR),
    "twoddoc": Shown(twoddoc.FORMAT, test_twoddoc.GOOD, test_twoddoc.ANCHOR),
    "aadhaar": Shown(aadhaar.FORMAT, test_aadhaar.GOOD, test_aadhaar.ANCHOR),
}
"""By format, and algorithm where it has several."""
