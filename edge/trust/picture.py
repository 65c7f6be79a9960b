"""The chain from the root to an issuer's keys as a picture (SVG 1.1), for a page, a report or a wall."""

from html import escape
from typing import Final

from edge.trust.chain import Chain, RoleShown
from edge.trust.fields import iso
from edge.words.catalogue import label

_WIDTH: Final = 720
_BOX: Final = 108
_GAP: Final = 34
_LEFT: Final = 24
_TOP: Final = 64
_DOT: Final = 22
_MOST_KEYS: Final = 12
_MOST_CHARS: Final = 96
_STYLE: Final = (
    "text{font-family:'Noto Sans CJK SC','Noto Sans SC',system-ui,sans-serif;fill:#1a1a1a}"
    ".t{font-size:19px;font-weight:600}.s{font-size:14px}.q{font-size:13px;fill:#555}.h{font-size:21px;font-weight:600}"
)


def svg(chain: Chain, language: str) -> str:
    """Return the picture.

    Args:
        chain: What it shows.
        language: `zh` or `en`.
    """
    above = ("", *(role.name for role in chain.roles))
    boxes = [_role(role, under, language) for role, under in zip(chain.roles, above, strict=False)]
    boxes.append(_file(chain, language))
    parts = []
    for number, (fill, lines, dots) in enumerate(boxes):
        top = _TOP + number * (_BOX + _GAP)
        if number:
            parts.append(_arrow(top))
        parts.append(_box(top, fill, lines, dots))
    height = _TOP + len(boxes) * (_BOX + _GAP) + 18
    issuer = chain.issuer
    title = label(language, "chain.title", issuer=issuer.id, name=issuer.names.get(language, issuer.id))
    fresh = label(
        language, "chain.fresh", timestamp=chain.timestamp, snapshot=chain.snapshot, issued_at=iso(chain.issued_at)
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            _text(_LEFT, 38, "h", _cut(title)),
            *parts,
            _text(_LEFT, height - 18, "q", fresh),
            "</svg>\n",
        )
    )


_Box = tuple[str, tuple[str, ...], tuple[int, int]]


def _role(role: RoleShown, under: str, language: str) -> _Box:
    signed = label(language, "chain.signed", count=len(role.signed_by), threshold=role.threshold, keys=role.keys)
    until = label(language, "chain.until", expires_at=iso(role.expires_at))
    named = label(language, "chain.named", role=under) if under else label(language, "chain.first")
    why = f"{named}; {label(language, 'chain.may', paths=', '.join(role.may_list))}" if role.may_list else named
    lines = (f"{role.name} v{role.version}", f"{signed}; {until}", _cut(why))
    return "#eef4fb", lines, (len(role.signed_by), role.keys)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 3]}..."


def _file(chain: Chain, language: str) -> _Box:
    keys = label(language, "chain.keys", keys=", ".join(key.key_id.hex() for key in chain.keys) or "-")
    return "#eef8ee", (chain.path, _cut(keys), f"sha256 {chain.digest[:32]}..."), (0, 0)


def _box(top: int, fill: str, lines: tuple[str, ...], dots: tuple[int, int]) -> str:
    inner = _WIDTH - 2 * _LEFT
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{inner}" height="{_BOX}" rx="8" fill="{fill}" stroke="#456"/>',
        _text(_LEFT + 18, top + 32, "t", lines[0]),
        _text(_LEFT + 18, top + 60, "s", lines[1]),
        _text(_LEFT + 18, top + 87, "q", lines[2]),
    ]
    signed, keys = dots
    # One mark a key, filled where it signed.
    for number in range(min(keys, _MOST_KEYS)):
        x = _LEFT + inner - 26 - number * _DOT
        parts.append(
            f'<circle cx="{x}" cy="{top + 26}" r="7" fill="{"#2a6" if number < signed else "none"}" stroke="#2a6" '
            'stroke-width="1.6"/>'
        )
    return "".join(parts)


def _arrow(top: int) -> str:
    x = _WIDTH // 2
    return (
        f'<path d="M{x} {top - _GAP + 2}V{top - 10}" stroke="#456" stroke-width="2"/>'
        f'<path d="M{x - 6} {top - 11}h12l-6 9z" fill="#456"/>'
    )


def _text(x: int, y: int, kind: str, text: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'
