"""An SM2 signer for tests, slow and plain, by the text of GB/T 32918.2; nothing of the product signs with SM2."""

import hashlib

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
Point = tuple[int, int] | None


def add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + A) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(number: int, point: Point) -> Point:
    found: Point = None
    while number:
        if number & 1:
            found = add(found, point)
        point = add(point, point)
        number >>= 1
    return found


def sm3(data: bytes) -> bytes:
    return hashlib.new("sm3", data).digest()


class Signer:
    """A key pair.

    Args:
        private: 0 < private < N - 1.
        user_id: The signer's id.
    """

    def __init__(self, private: int, user_id: bytes = b"1234567812345678") -> None:
        self._private = private
        point = times(private, G)
        assert point is not None
        self.public = b"\x04" + b"".join(part.to_bytes(32) for part in point)
        fixed = b"".join(part.to_bytes(32) for part in (A, B, *G))
        self._z = sm3((len(user_id) * 8).to_bytes(2) + user_id + fixed + self.public[1:])

    def sign(self, message: bytes, *, nonce: int = 0xC0FFEE) -> bytes:
        """Sign as GB/T 32918.2, 6.1 says; a fixed nonce is nothing for a key that matters."""
        point = times(nonce, G)
        assert point is not None
        r = (int.from_bytes(sm3(self._z + message)) + point[0]) % N
        s = pow(1 + self._private, -1, N) * (nonce - r * self._private) % N
        return r.to_bytes(32) + s.to_bytes(32)
