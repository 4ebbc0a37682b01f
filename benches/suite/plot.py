"""Points as an SVG of two charts, time and memory over the number of coupons, each with the straight line through the origin that the largest point foretells.
Plain Python.

    plot.py FROM.json TO.svg        draws the points of a scale.json anew
"""

import json
import sys
from pathlib import Path

WIDTH, HEIGHT = 920, 430
LEFT, TOP, CHART_WIDTH, CHART_HEIGHT, GAP = 66, 84, 360, 270, 110
INK, GREY, GRID, WALL, CPU, MEMORY = "#1f2328", "#59636e", "#e4e7eb", "#0b6e4f", "#c2571a", "#3b5bdb"
FONT = "font-family='ui-sans-serif, system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
# A name that lies on a line stays legible.
OVER_LINES = " paint-order='stroke' stroke='#ffffff' stroke-width='4'"


def draw(points, path):
    if not points:
        return
    largest = max(it["coupons"] for it in points) / 1e6
    seconds = max(max(it["night"]["wall_s"], it["night"]["cpu_s"]) for it in points)
    memory = max(it["night"]["peak_mb"] for it in points)
    time_chart = Chart(LEFT, largest, seconds, "seconds")
    memory_chart = Chart(LEFT + CHART_WIDTH + GAP, largest, max(memory, 1024), "MB resident at the peak")
    series = lambda name: [(it["coupons"] / 1e6, it["night"][name]) for it in points]  # noqa: E731
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' {FONT} role='img'>",
        "<title>Time and memory of a night over the number of coupons</title>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#ffffff'/>",
        text(LEFT - 42, 32, "A night over the number of coupons", size=18, weight=600),
        text(LEFT - 42, 54, "match and every rule, from published partitions to ledger and breaks; dashed: straight through the origin", color=GREY),
        *time_chart.frame("Time"),
        *time_chart.line(series("wall_s"), WALL, "wall"),
        *time_chart.line(series("cpu_s"), CPU, "CPU"),
        *memory_chart.frame("Memory"),
        *memory_chart.line(series("peak_mb"), MEMORY, "peak", straight=False),
        "</svg>",
    ]
    Path(path).write_text("\n".join(parts) + "\n")


class Chart:
    """One chart with linear axes from zero."""

    def __init__(self, left, largest_x, largest_y, unit):
        self.left, self.unit = left, unit
        self.step_x, self.step_y = step(largest_x), step(largest_y)
        self.top_x, self.top_y = ceiling(largest_x * 1.04, self.step_x), ceiling(largest_y * 1.04, self.step_y)
        self.labels = []

    def at(self, x, y):
        return self.left + x / self.top_x * CHART_WIDTH, TOP + CHART_HEIGHT * (1 - y / self.top_y)

    def frame(self, title):
        yield text(self.left, TOP - 8, f"{title}, {self.unit}", color=GREY)
        for number in range(round(self.top_y / self.step_y) + 1):
            x, y = self.at(0, number * self.step_y)
            yield f"<line x1='{x:.1f}' x2='{x + CHART_WIDTH:.1f}' y1='{y:.1f}' y2='{y:.1f}' stroke='{GREY if number == 0 else GRID}'/>"
            yield text(x - 8, y + 4, figure(number * self.step_y), color=GREY, anchor="end")
        for number in range(round(self.top_x / self.step_x) + 1):
            x, y = self.at(number * self.step_x, 0)
            yield f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{y:.1f}' y2='{y + 5:.1f}' stroke='{GREY}'/>"
            yield text(x, y + 20, figure(number * self.step_x), color=GREY, anchor="middle")
        yield text(self.left + CHART_WIDTH / 2, TOP + CHART_HEIGHT + 44, "million coupons", color=GREY, anchor="middle")

    def line(self, points, color, name, straight=True):
        """The points joined, and the line that the largest foretells for all others."""
        places = [self.at(x, y) for x, y in points]
        if straight:
            last_x, last_y = points[-1]
            x, y = self.at(self.top_x, last_y / last_x * self.top_x) if last_y / last_x * self.top_x <= self.top_y else self.at(last_x, last_y)
            zero_x, zero_y = self.at(0, 0)
            yield f"<line x1='{zero_x:.1f}' y1='{zero_y:.1f}' x2='{x:.1f}' y2='{y:.1f}' stroke='{color}' stroke-dasharray='4 4' opacity='0.55'/>"
        else:
            joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            yield f"<polyline points='{joined}' fill='none' stroke='{color}' stroke-width='1.5'/>"
        for (x, y), (millions, value) in zip(places, points):
            yield f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{color}'><title>{figure(millions)} million: {value:.1f}</title></circle>"
        x, y = places[-1]
        # Two names at one height would lie on each other.
        while any(abs(y - other) < 16 for other in self.labels):
            y += 16
        self.labels.append(y)
        yield text(min(x + 10, self.left + CHART_WIDTH + 8), y + 4, f"{name} {figure(round(points[-1][1], 1 if points[-1][1] < 100 else 0))}", color=color, weight=600, ground=OVER_LINES)


def step(largest):
    """A round step of which four to eight reach so far."""
    size = 10 ** (len(str(int(largest))) - 1) if largest >= 1 else 0.1
    return next(size * factor for factor in (0.1, 0.2, 0.25, 0.5, 1, 2) if largest / (size * factor) <= 7)


def ceiling(value, unit):
    return -(-value // unit) * unit


def figure(number):
    return f"{number:,.10g}".replace(",", "\u2009")


def text(x, y, words, size=12, color=INK, weight=400, anchor="start", ground=""):
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' font-weight='{weight}' fill='{color}' text-anchor='{anchor}'{ground}>{words}</text>"


if __name__ == "__main__":
    measured = Path(sys.argv[1])
    draw(json.loads(measured.read_text())["points"] if measured.exists() else [], sys.argv[2])
