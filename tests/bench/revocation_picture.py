"""`python -m tests.bench.revocation_picture IN.json OUT.svg`: size and look-up against entries, as measured."""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 860, 370, 70, 40, 320, 220
ENTRIES = (1, 10, 100)
PANELS = (
    (
        "megabytes on disk and in memory",
        (0.1, 1000),
        {
            "files": ("files (mapped)", "#0b5"),
            "information bound": ("information bound", "#888"),
            "CRoaring in memory: peak of loading": ("CRoaring, peak of loading", "#c40"),
            "its peak while the next is swapped in": ("whole scanner process, anonymous peak", "#06c"),
        },
    ),
    ("microseconds a look-up", (0.01, 10), {"look-up, p50": ("mapped parts", "#0b5")}),
)


def draw(rows: list[dict[str, object]]) -> str:
    """Return the picture."""
    values = {str(row["name"]): float(str(row["value"])) for row in rows}
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for number, (title, span, series) in enumerate(PANELS):
        drawn += _panel(LEFT + number * (PLOT_W + 100), title, span)
        for turn, (name, (label, colour)) in enumerate(series.items()):
            points = [(count, values[f"{count}M: {name}"]) for count in ENTRIES]
            drawn += _line(LEFT + number * (PLOT_W + 100), span, points, colour)
            place = TOP + PLOT_H + 44 + 16 * turn
            drawn.append(f'<text x="{LEFT + number * (PLOT_W + 100) + 10}" y="{place}" fill="{colour}">{label}</text>')
    return "\n".join((*drawn, "</svg>", ""))


def _panel(left: int, title: str, span: tuple[float, float]) -> list[str]:
    found = [
        f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="{TOP}" width="{PLOT_W}" height="{PLOT_H}" fill="none" stroke="#999"/>',
    ]
    for count in ENTRIES:
        x = _x(left, count)
        found.append(f'<text x="{x:.0f}" y="{TOP + PLOT_H + 18}" text-anchor="middle">{count} million of 10⁹</text>')
    for power in range(round(math.log10(span[0])), round(math.log10(span[1])) + 1):
        y = _y(span, 10.0**power)
        found.append(f'<path d="M{left} {y:.0f}h{PLOT_W}" stroke="#eee"/>')
        found.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>')
    return found


def _line(left: int, span: tuple[float, float], points: list[tuple[int, float]], colour: str) -> list[str]:
    places = [(_x(left, count), _y(span, value)) for count, value in points]
    path = "L".join(f"{x:.0f} {y:.1f}" for x, y in places)
    found = [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for (x, y), (_, value) in zip(places, points, strict=True):
        found.append(f'<circle cx="{x:.0f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{value:.2f}</title></circle>')
    return found


def _x(left: int, count: float) -> float:
    return left + 40 + (PLOT_W - 80) * math.log10(count) / 2


def _y(span: tuple[float, float], value: float) -> float:
    low, high = math.log10(span[0]), math.log10(span[1])
    return TOP + PLOT_H * (1 - (math.log10(value) - low) / (high - low))


if __name__ == "__main__":
    rows_ = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rows"]
    Path(sys.argv[2]).write_text(draw(rows_), encoding="utf-8")
