"""What other libraries take for the same codes, in an interpreter of its own that has them; nothing of ours runs here.

`tests.bench.foreign` starts it with the Python that `EDGE_BENCH_RIVALS` names and gives it codes and keys as JSON; it
answers with seconds of each rival and of the bare signature check of the same process. Every rival does what its
own documents show: from the text of the symbol to claims whose signature was checked.
"""

import base64
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

ROUNDS, REPEAT = 200, 3


def _cwt(code: bytes, key: dict[str, bytes], opened: Callable[[bytes], bytes]) -> Callable[[], object]:
    import cwt  # each may be missing

    known = cwt.COSEKey.new({1: 2, 3: -7, -1: 1, -2: key["x"], -3: key["y"], 2: key["kid"]})
    decoded = cwt.decode(opened(code), keys=[known])
    if not decoded:
        raise ValueError("nothing was read")
    return lambda: cwt.decode(opened(code), keys=[known])


def _pycose(code: bytes, key: dict[str, bytes], opened: Callable[[bytes], bytes]) -> Callable[[], object]:
    import cbor2
    from pycose.keys import EC2Key
    from pycose.messages import Sign1Message

    known = EC2Key(crv="P_256", x=key["x"], y=key["y"], optional_params={"ALG": "ES256", "KID": key["kid"]})

    def check() -> object:
        message: Any = Sign1Message.decode(opened(code))
        message.key = known
        if not message.verify_signature():
            raise ValueError("its signature does not hold")
        return cbor2.loads(message.payload)

    check()
    return check


def _joserfc(code: bytes, key: dict[str, bytes], _: Callable[[bytes], bytes]) -> Callable[[], object]:
    from joserfc import jws
    from joserfc.jwk import ECKey

    x, y = (base64.urlsafe_b64encode(key[name]).rstrip(b"=").decode() for name in ("x", "y"))
    known = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    # It knows no "zip" in a JWS and refuses it unless told not to look.
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)

    def check() -> object:
        digits = code[5:].decode()
        text = "".join(chr(int(digits[at : at + 2]) + 45) for at in range(0, len(digits), 2))
        found = jws.deserialize_compact(text, known, registry=registry)
        return json.loads(zlib.decompress(found.payload, wbits=-15))

    check()
    return check


def _claim169(code: bytes, key: dict[str, bytes], _: Callable[[bytes], bytes]) -> Callable[[], object]:
    import claim169

    text = code.decode()
    claim169.decode_with_ed25519(text, key["ed25519"])
    return lambda: claim169.decode_with_ed25519(text, key["ed25519"])


def _hc1(code: bytes) -> bytes:
    import base45

    return zlib.decompress(base45.b45decode(code[4:]))


def _nzcp(code: bytes) -> bytes:
    text = code[8:]
    return base64.b32decode(text + b"=" * (-len(text) % 8))


def _plain(code: bytes) -> bytes:
    return code


RIVALS: tuple[tuple[str, str, Any, Callable[[bytes], bytes]], ...] = (
    ("hcert, ES256", "cwt", _cwt, _hc1),
    ("hcert, ES256", "pycose", _pycose, _hc1),
    ("nzcp", "cwt", _cwt, _nzcp),
    ("nzcp", "pycose", _pycose, _nzcp),
    ("shc", "joserfc", _joserfc, _plain),
    ("claim169, EdDSA", "claim169", _claim169, _plain),
)
"""Format, the rival's package, how it is asked, how its documents open the code."""


def _bare(case: dict[str, bytes]) -> Callable[[], object]:
    if "ed25519" in case:
        from nacl.signing import VerifyKey

        public = VerifyKey(case["ed25519"])
        return lambda: public.verify(case["signed"], case["signature"])
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    point = b"\x04" + case["x"] + case["y"]
    known, scheme = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point), ec.ECDSA(hashes.SHA256())
    r, s = (int.from_bytes(half, "big") for half in (case["signature"][:32], case["signature"][32:]))
    der = utils.encode_dss_signature(r, s)
    return lambda: known.verify(der, case["signed"], scheme)


def _medians(actions: list[Callable[[], object]]) -> list[float]:
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(ROUNDS):
        for action, figures in zip(actions, taken, strict=True):
            began = time.perf_counter()
            for _ in range(REPEAT):
                action()
            figures.append((time.perf_counter() - began) / REPEAT)
    return [statistics.median(figures) for figures in taken]


def main() -> None:
    asked = {
        name: {part: bytes.fromhex(value) for part, value in case.items()}
        for name, case in json.load(sys.stdin).items()
    }
    found = []
    for format_, package, made, opened in RIVALS:
        case = asked[format_]
        try:
            whole, bare = _medians([made(case["code"], case, opened), _bare(case)])
        except Exception as fault:  # a library that is missing or refuses is a row that says so
            found.append({"format": format_, "package": package, "fault": f"{type(fault).__name__}: {fault}"[:200]})
            continue
        found.append({"format": format_, "package": package, "whole_s": whole, "bare_s": bare})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
