"""People with live passes: what they show is signed as they step up, and a screenshot of it is ten minutes old.

One key stands for everybody's phone; the codes are those of the reference holder (`edge.wallet`).
"""

from dataclasses import dataclass, field, replace

from nacl.signing import SigningKey

from edge.demo.people import SIGNED_BEFORE_S, Presentation
from edge.wallet.wallet import signed


@dataclass(frozen=True, slots=True)
class Phone:
    """A holder's phone.

    Attributes:
        key: Its holder key.
    """

    key: SigningKey = field(default_factory=SigningKey.generate, repr=False)

    @property
    def public(self) -> str:
        """The public half, hexadecimal, as an issuer takes it."""
        return self.key.verify_key.encode().hex()

    def shown(self, presentation: Presentation, now_s: int) -> Presentation:
        """Return a presentation as it is shown now: the code of a live pass instead of the pass."""
        before_s = SIGNED_BEFORE_S.get(presentation.part.case)
        if before_s is None:
            return presentation
        code = signed(presentation.showing.raw, self.key, now_s - before_s)
        return replace(presentation, showing=replace(presentation.showing, raw=code.encode()))
