"""`python -m tests.bench.record_picture IN.json OUT.svg`: how long durable commits take, as measured by `record`."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 720, 400, 70, 40, 600, 260
COLOURS = ("#888", "#0b5", "#06c", "#c40")


def draw(series: Mapping[str, Sequence[float]], what: str = "commits") -> str:
    """Return the picture: the share of `what` that took at most so long, the time on a logarithmic scale."""
    every = [value for figures in series.values() for value in figures]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))

    def across(value: float) -> float:
        return LEFT + PLOT_W * (math.log10(value) - low) / (high - low)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="{TOP - 14}" font-size="14">share of {what} that took at most so long</text>',
    ]
    for power in range(low, high + 1):
        x = across(10.0**power)
        drawn.append(f'<path d="M{x:.1f} {TOP}V{TOP + PLOT_H}" stroke="#ddd"/>')
        drawn.append(f'<text x="{x:.1f}" y="{TOP + PLOT_H + 18}" text-anchor="middle">{10**power:,} us</text>')
    for share in (0, 25, 50, 75, 100):
        y = TOP + PLOT_H * (1 - share / 100)
        drawn.append(f'<path d="M{LEFT} {y:.1f}h{PLOT_W}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>')
    for number, (name, figures) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            f"{across(value):.1f},{TOP + PLOT_H * (1 - place / 100):.1f}" for place, value in enumerate(figures, 1)
        ]
        drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = LEFT + 300 * (number % 2), TOP + PLOT_H + 44 + 18 * (number // 2)
        drawn.append(f'<text x="{x}" y="{y}" fill="{colour}">{name}</text>')
    return "\n".join((*drawn, "</svg>", ""))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["latency_us"]), "utf-8")
