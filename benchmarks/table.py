"""Figures of several rounds as a table: median, least and most."""

from collections.abc import Mapping, Sequence
from statistics import median

Figures = Mapping[tuple[str, str], Sequence[float]]
HEAD = ["| what | figure | median | min - max | rounds |", "| --- | --- | ---: | ---: | ---: |"]


def table(figures: Figures) -> list[str]:
    """One line a figure, in the order in which they came."""
    lines = list(HEAD)
    for (what, figure), values in figures.items():
        spread = f"{_short(min(values))} - {_short(max(values))}"
        lines.append(f"| {what} | {figure} | {_short(median(values))} | {spread} | {len(values)} |")
    return lines


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
