"""SM2 with SM3, verify only, by the system's libcrypto 3 (ADR 43): found out at start, absent where it does not work.

`cryptography` exposes neither, and the libraries of the package index are hundreds of times slower or wrong for some
keys. Called through ctypes with every function declared; nothing here can sign.
"""

import ctypes
import logging
from collections import OrderedDict
from collections.abc import Mapping
from ctypes import c_char_p, c_int, c_long, c_size_t, c_void_p
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from edge.codec import sm2
from edge.errors import EncodingRefused
from edge.model.finding import Finding
from edge.model.trust import SM2, TrustSnapshot
from edge.verify.signatures import VERIFIERS, Verifier

_LIBRARY: Final = "libcrypto.so.3"
_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
"""SubjectPublicKeyInfo of id-ecPublicKey on the SM2 curve (OID 1.2.156.10197.1.301), up to the point."""
_KEYS: Final = 64
_FUNCTIONS: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {
    "d2i_PUBKEY": (c_void_p, (c_void_p, c_void_p, c_long)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new": (c_void_p, (c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_set1_id": (c_int, (c_void_p, c_char_p, c_int)),
    "EVP_MD_fetch": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (c_void_p, c_void_p)),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}
_KNOWN_KEY: Final = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_KNOWN_SIGNATURE: Final = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
"""Of `message digest`, GB/T 32918.5-2017, A.2: what a backend must find right, and must not of another message."""
_LOG: Final = logging.getLogger(__name__)


class Backend:
    """The verifier over one loaded library; one thread at a time.

    Args:
        library: libcrypto 3.
        user_id: The signer's id.

    Raises:
        OSError: The library has no SM3.
        AttributeError: It lacks a function.
    """

    def __init__(self, library: ctypes.CDLL, user_id: bytes = sm2.USER_ID) -> None:
        self._call: dict[str, Any] = {}
        for name, (answer, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = answer, arguments
            self._call[name] = function
        self._user_id = user_id
        self._sm3 = self._call["EVP_MD_fetch"](None, b"SM3", None)
        if not self._sm3:
            raise OSError(f"{_LIBRARY} has no SM3")
        self._keys: OrderedDict[bytes, int | None] = OrderedDict()

    def __call__(self, public: bytes, signed: bytes, signature: bytes, /) -> bool:
        """Return whether r||s over `signed` holds under 04||x||y; (r, n - s) is another signature and does not."""
        encoded = sm2.der(signature)
        key = self._key(public) if encoded is not None else None
        if encoded is None or key is None:
            return False
        call = self._call
        key_context = call["EVP_PKEY_CTX_new"](key, None)
        digest_context = call["EVP_MD_CTX_new"]()
        try:
            if not key_context or not digest_context:
                return False
            if call["EVP_PKEY_CTX_set1_id"](key_context, self._user_id, len(self._user_id)) != 1:
                return False
            call["EVP_MD_CTX_set_pkey_ctx"](digest_context, key_context)
            if call["EVP_DigestVerifyInit"](digest_context, None, self._sm3, None, key) != 1:
                return False
            # 1 and nothing else: 0 is a signature that does not hold, below it is an error.
            return bool(call["EVP_DigestVerify"](digest_context, encoded, len(encoded), signed, len(signed)) == 1)
        finally:
            call["EVP_MD_CTX_free"](digest_context)
            call["EVP_PKEY_CTX_free"](key_context)
            call["ERR_clear_error"]()

    def _key(self, public: bytes) -> int | None:
        if public in self._keys:
            return self._keys[public]
        try:
            sm2.refuse_off_curve(public)
            encoded = ctypes.create_string_buffer(_SPKI + public, len(_SPKI) + len(public))
            at = c_void_p(ctypes.addressof(encoded))
            found: int | None = self._call["d2i_PUBKEY"](None, ctypes.byref(at), len(_SPKI) + len(public))
        except EncodingRefused:
            found = None
        self._keys[public] = found
        while len(self._keys) > _KEYS:
            _, gone = self._keys.popitem(last=False)
            self._call["EVP_PKEY_free"](gone)
        return found


def probed(library: str = _LIBRARY) -> Verifier | None:
    """Return a verifier that was found to work on this machine, or None.

    Args:
        library: Name of the library.
    """
    try:
        backend = Backend(ctypes.CDLL(library))
        # Right and wrong: a library that says yes to everything is worse than none.
        works = backend(_KNOWN_KEY, b"message digest", _KNOWN_SIGNATURE) and not backend(
            _KNOWN_KEY, b"message digesT", _KNOWN_SIGNATURE
        )
    except (OSError, AttributeError) as error:
        _LOG.info("SM2 is not available: %s", error)
        return None
    return backend if works else None


@cache
def verifiers() -> Mapping[int, Verifier]:
    """Return the table of this machine: with SM2 where libcrypto verifies it."""
    backend = probed()
    return VERIFIERS if backend is None else MappingProxyType({**VERIFIERS, SM2: backend})


def findings(trust: TrustSnapshot | None, table: Mapping[int, Verifier]) -> list[Finding]:
    """Return what staff should know of issuers whose signatures this gate cannot check."""
    if trust is None:
        return []
    without = sorted({key.issuer for keys in trust.keys.values() for key in keys if key.algorithm not in table})
    return [Finding("signature.unsupported", params={"issuers": ", ".join(without[:8])})] if without else []
