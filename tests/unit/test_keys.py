"""Which public keys are fit: refused at every place where one enters, at publication and at load alike."""

import json
import os
from pathlib import Path

import pytest
from nacl import bindings
from nacl.public import PrivateKey
from nacl.signing import SigningKey
from tuf.api.metadata import Key

from edge.codec.ed25519 import refuse_weak_box_key, refuse_weak_point, signing_forms
from edge.errors import EdgeError, EncodingRefused, TrustError
from edge.identity.identity import ENROLMENT_FILE, Enrolment, load_enrolment, save_enrolment
from edge.ledger import device, enrolment
from edge.ledger.enrolment import EnrolmentAnswer, Invitation
from edge.trust import keyusage, targets
from edge.trust.fields import Document
from edge.trust.store import TrustStore
from tests.simulators.repository import NOW, Repository, document, key_row, keys_document

PRIME = (1 << 255) - 19
GOOD = bytes(SigningKey(bytes(31) + b"\x09").verify_key)
TORSION = [
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
"""All points whose order divides eight: order 1, 2, 4, 4, 8, 8, 8, 8."""
MIXED = [bindings.crypto_core_ed25519_add(GOOD, point) for point in TORSION[1:]]
OTHER_SPELLINGS = [
    (value | sign << 255).to_bytes(32, "little")
    for value in (*range(PRIME, 1 << 255), 1, PRIME - 1)
    for sign in (0, 1)
    if value >= PRIME or sign
]
"""Every encoding of y at or above 2**255 - 19, and x = 0 with its sign set (RFC 8032, 5.1.3)."""
OFF_CURVE = [bytes((value,)) + bytes(31) for value in (2, 7, 8)]
WRONG_LENGTH = [b"", GOOD[:31], GOOD + b"\0", bytes(64)]
WEAK = [*TORSION, *MIXED, *OTHER_SPELLINGS, *OFF_CURVE]
CONFORMANCE = Path(os.environ.get("EDGE_CONFORMANCE_DIR", Path(__file__).parents[3] / "shared" / "conformance"))
SPECCHECK = CONFORMANCE / "signatures" / "ed25519-speccheck.json"


@pytest.mark.parametrize("public", [*WEAK, *WRONG_LENGTH], ids=lambda key: key.hex()[:6] + key.hex()[-4:])
def test_no_weak_point_is_a_key(public):
    """Small order, every mixed order, every second spelling, off the curve, another length."""
    with pytest.raises(EncodingRefused):
        refuse_weak_point(public)


def test_honest_keys_are_keys():
    """A thousand of them."""
    for number in range(1000):
        refuse_weak_point(bytes(SigningKey(number.to_bytes(32, "big")).verify_key))


def test_the_public_speccheck_finds_no_key_it_should_not():
    """Of its twelve cases only the two with an honest key and a malleable signature get past the key's check."""
    if not SPECCHECK.is_file():
        pytest.skip(f"no public vectors at {CONFORMANCE}; set EDGE_CONFORMANCE_DIR")
    fit = []
    for number, case in enumerate(json.loads(SPECCHECK.read_text())):
        public, message, signature = (bytes.fromhex(case[name]) for name in ("pub_key", "message", "signature"))
        try:
            refuse_weak_point(public)
        except EncodingRefused:
            continue
        fit.append(number)
        with pytest.raises(Exception, match="orged"):
            bindings.crypto_sign_open(signature + message, public)

    assert fit == [6, 7]


BOX_SMALL = [
    *(value.to_bytes(32, "little") for value in (0, 1, PRIME - 1)),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]
BOX_SPELLINGS = [value.to_bytes(32, "little") for value in (*range(PRIME, 1 << 255), 9 | 1 << 255, (1 << 256) - 1)]


@pytest.mark.parametrize("public", [*BOX_SMALL, *BOX_SPELLINGS, b"", bytes(31)], ids=lambda key: key.hex()[:8])
def test_no_weak_box_key_is_sealed_to(public):
    """All five canonical points of small order, every second spelling, another length."""
    with pytest.raises(EncodingRefused):
        refuse_weak_box_key(public)


def test_a_box_key_knows_the_signing_key_of_the_same_secret():
    """The map of RFC 7748 4.1 agrees with libsodium's, for a hundred keys and both signs."""
    for number in range(100):
        public = bytes(SigningKey(number.to_bytes(32, "big")).verify_key)
        box = bindings.crypto_sign_ed25519_pk_to_curve25519(public)
        refuse_weak_box_key(box)

        assert public in signing_forms(box)
        assert GOOD not in signing_forms(box) or public == GOOD
    assert signing_forms((PRIME - 1).to_bytes(32, "little")) == frozenset()


def invitation(public):
    signed = device.sign("invitation", {1: "http://h", 2: public, 3: bytes(16), 4: "s", 5: "1", 6: 0, 7: 1, 8: 2}, KEY)
    return enrolment.PREFIX + enrolment.base45.encode(signed)


KEY = SigningKey(b"k" * 32)
HUB = SigningKey(b"h" * 32)
SOME_WEAK = [TORSION[1], TORSION[2], MIXED[0], MIXED[3], OTHER_SPELLINGS[0], OFF_CURVE[0]]


@pytest.mark.parametrize("public", SOME_WEAK, ids=lambda key: key.hex()[:6])
class TestEveryDoor:
    """Each place where a public key comes in."""

    def test_an_issuers_key(self, public):
        """`issuers/ID/keys.json`, read by gate and authority alike."""
        with pytest.raises(TrustError, match="public is refused"):
            targets.keys(Document(keys_document(key_row(public)), "k"), "44")

    def test_a_hubs_key(self, public):
        """`national/hubs.json`."""
        row = {"key_id": device.key_id(public).hex(), "name": "n", "public": public.hex()}
        with pytest.raises(TrustError, match="public is refused"):
            targets.hub_keys(Document(document(hubs=[row]), "h"))

    def test_a_role_of_the_publication(self, public):
        """Root, and whatever delegations name."""
        keys = {
            name: Key.from_dict(name, {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": key.hex()}})
            for name, key in (("good", GOOD), ("weak", public))
        }

        assert keyusage.weak_key(keys) == "weak"

    def test_the_hub_of_an_invitation(self, public):
        """Before anything is verified under it."""
        with pytest.raises(EdgeError, match="damaged or altered"):
            enrolment.open_invitation(invitation(public))

    def test_the_receipt_keys_of_an_enrolment(self, public):
        """In the hub's signed answer, and in the file that keeps it."""
        answer = EnrolmentAnswer(bytes(16), "s", "1", 0, "", b"", b"", (GOOD, public), 30, 1)
        with pytest.raises(EdgeError, match="impossible receipt keys"):
            enrolment.open_answer(enrolment.make_answer(answer, HUB), bytes(HUB.verify_key))

    def test_the_receipt_keys_of_a_kept_enrolment(self, public, tmp_path):
        """A file that somebody altered is damaged."""
        keys = {device.key_id(public).hex(): public}
        save_enrolment(tmp_path, Enrolment(bytes(16), "s", "1", "440100", "http://h", keys, "", 30, 1))
        with pytest.raises(EdgeError, match=ENROLMENT_FILE):
            load_enrolment(tmp_path)


def test_an_honest_invitation_still_opens():
    """The check refuses nothing that is in order."""
    made = Invitation("http://h", bytes(HUB.verify_key), bytes(16), "s", "1", 440100, 1, 2)

    assert enrolment.open_invitation(enrolment.make_invitation(made, HUB).encode()) == made


class TestOneUse:
    """A key that serves two uses refuses the whole publication; the trust in force stays."""

    OWN = bytes(SigningKey(bytes(range(32))).verify_key)
    """The key of issuer 44 in the simulated repository."""

    @pytest.fixture
    def repository(self):
        return Repository()

    @pytest.fixture
    def store(self, tmp_path, repository):
        return TrustStore.init(tmp_path / "trust", repository.first_root)

    def refused(self, store, repository, why):
        repository.publish()
        with pytest.raises(TrustError, match=why):
            store.refresh(repository, NOW)

    def test_two_issuers_of_one_key(self, store, repository):
        """Else one could sign for the other."""
        rows = json.loads(repository.targets["national/issuers.json"])["issuers"]
        rows.append({"id": "61", "names": {"zh": "陕西", "en": "Shaanxi"}, "region": 0})
        repository.targets["national/issuers.json"] = document(issuers=rows)
        repository.targets["issuers/61/keys.json"] = keys_document(key_row(self.OWN, regions=["61"]), issuer="61")

        self.refused(store, repository, "as a key of issuer 61 and as a key of issuer 44")

    def test_an_issuer_and_a_hub(self, store, repository):
        """Else a pass could be taken for a receipt's signer, and a hub could issue."""
        row = {"key_id": device.key_id(self.OWN).hex(), "name": "n", "public": self.OWN.hex()}
        repository.targets["national/hubs.json"] = document(hubs=[row])

        self.refused(store, repository, "as a key of a hub and as a key of issuer 44")

    def test_an_issuer_and_a_role(self, store, repository):
        """Else whoever signs passes online could sign trust."""
        role = bytes.fromhex(repository.signers["timestamp"][0].public_key.keyval["public"])
        repository.targets["issuers/44/keys.json"] = keys_document(key_row(role))

        self.refused(store, repository, "as a key of issuer 44 and as a key that signs the publication")

    def test_an_issuer_and_the_auditor(self, store, repository):
        """The same secret in its X25519 form."""
        box = bindings.crypto_sign_ed25519_pk_to_curve25519(self.OWN)
        repository.targets["national/auditor.json"] = document(public=box.hex())

        self.refused(store, repository, "as a key of issuer 44 and as the auditor's key")

    def test_four_different_keys_are_accepted(self, store, repository):
        """Nothing is refused that is in order."""
        row = {"key_id": device.key_id(GOOD).hex(), "name": "n", "public": GOOD.hex()}
        repository.targets["national/hubs.json"] = document(hubs=[row])
        repository.targets["national/auditor.json"] = document(public=bytes(PrivateKey.generate().public_key).hex())
        repository.publish()
        store.refresh(repository, NOW)

        assert store.load().auditor_key is not None
