"""A picture of lines over time, as SVG: what was done by when."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 720, 360, 80, 40, 600, 240
COLOURS = ("#0b5", "#06c", "#c40", "#888")
_TICKS = 5

Points = Sequence[tuple[float, float]]


def _ticks(most: float) -> list[float]:
    """Return round numbers from 0 to the first one that is not below `most`."""
    power = 10 ** math.floor(math.log10(most / _TICKS))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= most / _TICKS)
    return [round(number * step, 9) for number in range(math.ceil(round(most / step, 9)) + 1)]


def draw(title: str, across: str, series: Mapping[str, Points], marks: Mapping[str, float] | None = None) -> str:
    """Return the picture.

    Args:
        title: What goes up.
        across: What goes to the right, with its unit.
        series: Points of each line by its name.
        marks: Places to the right that a dashed line marks, by name.
    """
    most_x = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    most_x = max(most_x, *(marks or {}).values(), 0.0)
    most_y = max((y for points in series.values() for _, y in points), default=1.0) or 1.0
    ticks_x, ticks_y = _ticks(most_x), _ticks(most_y)
    most_x, most_y = ticks_x[-1], ticks_y[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + PLOT_W * x / most_x, TOP + PLOT_H * (1 - y / most_y)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="{TOP - 14}" font-size="14">{title}</text>',
    ]
    for at in ticks_x:
        x, _ = place(at, 0)
        drawn.append(f'<path d="M{x:.1f} {TOP}v{PLOT_H}" stroke="#ddd"/>')
        drawn.append(f'<text x="{x:.1f}" y="{TOP + PLOT_H + 18}" text-anchor="middle">{at:g}</text>')
    for at in ticks_y:
        _, y = place(0, at)
        drawn.append(f'<path d="M{LEFT} {y:.1f}h{PLOT_W}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{at:,g}</text>')
    drawn.append(f'<text x="{LEFT + PLOT_W}" y="{TOP + PLOT_H + 36}" text-anchor="end">{across}</text>')
    for name, at in (marks or {}).items():
        x, _ = place(at, 0)
        drawn.append(f'<path d="M{x:.1f} {TOP}v{PLOT_H}" stroke="#444" stroke-dasharray="4"/>')
        drawn.append(f'<text x="{x - 4:.1f}" y="{TOP + PLOT_H - 8}" text-anchor="end" fill="#444">{name}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in points))
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = LEFT + 300 * (number % 2), TOP + PLOT_H + 56 + 18 * (number // 2)
        drawn.append(f'<text x="{x}" y="{y}" fill="{colour}">{name}</text>')
    return "\n".join((*drawn, "</svg>", ""))
