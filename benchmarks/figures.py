"""What was found: a value a round for each figure of each measurement, and ratios of two in the same round."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

Values = Mapping[int, float]


class Key(NamedTuple):
    """One figure of one measurement, at one durability."""

    what: str
    durability: str
    figure: str


@dataclass(frozen=True, slots=True)
class Found:
    """Values by key and round, and why something is missing."""

    values: MutableMapping[Key, dict[int, float]] = field(default_factory=dict)
    missing: MutableMapping[str, str] = field(default_factory=dict)

    def note(self, what: str, durability: str, round: int, figures: Mapping[str, float]) -> None:
        """What one measurement told in one round."""
        for figure, value in figures.items():
            self.values.setdefault(Key(what, durability, figure), {})[round] = value

    def ratio(self, above: Key, below: Key) -> Values:
        """One by the other, in the rounds that have both."""
        over, under = self.values.get(above, {}), self.values.get(below, {})
        return {round: over[round] / under[round] for round in over if under.get(round)}


def table(values: Mapping[Key, Values]) -> Iterator[str]:
    """One line a figure, in the order in which they came: median, least and most."""
    yield "| what | durability | figure | median | min - max | rounds |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for key, rounds in values.items():
        spread = f"{short(min(rounds.values()))} - {short(max(rounds.values()))}"
        middle = short(median(rounds.values()))
        yield f"| {key.what} | {key.durability} | {key.figure} | {middle} | {spread} | {len(rounds)} |"


def short(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
