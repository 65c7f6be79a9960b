"""A bench result drawn: recall against the time a picture takes, as SVG."""

import math
from typing import Any

_WIDE, _HIGH, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 400, 60, 24, 620, 350
_COLOURS = {"zxing": "#1f5fa8", "pyzbar": "#a8571f", "ladder": "#1f8a4c"}


def recall_over_time(result: dict[str, Any]) -> str:
    """Return an SVG picture of what each engine reads and what a picture costs it.

    Args:
        result: As `edge.scanner.bench` returns it.
    """
    engines = result["engines"]
    times = [max(one["mean_ms"], 0.01) for one in engines.values()]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times) * 1.01))
    span = max(1, high - low)

    def across(taken_ms: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (math.log10(max(taken_ms, 0.01)) - low) / span

    def down(recall: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * recall

    marks = [*(_rule(down(share / 5), f"{share / 5:.1f}") for share in range(6))]
    marks += [_tick(across(10.0**power), f"{10.0**power:g}") for power in range(low, low + span + 1)]
    for name, one in engines.items():
        x, y, colour = across(one["mean_ms"]), down(one["recall"]), _COLOURS.get(name, "#444")
        told = f"{name} {one['recall']:.3f}, {one['mean_ms']:.1f} ms"
        is_far = x > (_LEFT + _RIGHT) / 2
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>')
        marks.append(_text(x + (-10 if is_far else 10), y - 8, told, "end" if is_far else "start"))
    title = f"recall against milliseconds a picture, {result['images']} pictures"
    body = "\n".join([_text((_LEFT + _RIGHT) / 2, _HIGH - 12, title, "middle"), *marks])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{title}">\n'
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _rule(y: float, text: str) -> str:
    return f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#ddd"/>{_text(_LEFT - 8, y + 4, text, "end")}'


def _tick(x: float, text: str) -> str:
    return f'<path d="M{x:.1f} {_BOTTOM}v6" stroke="#444"/>{_text(x, _BOTTOM + 20, text, "middle")}'
