"""Kinds of torment: the order in which they come, and those that should have come and did not."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

ROUNDS = 2  # after so many a kind that never came was never done


def dealt(kinds: Sequence[str], chance: Random) -> Iterator[str]:
    """For ever, like cards: each as often as it is listed before any comes once more than that."""
    while True:
        yield from chance.sample(kinds, len(kinds))


def undone(kinds: Sequence[str], done: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each kind that never came, in a run that was long enough for all."""
    cycles = sum(done.values())
    if cycles >= ROUNDS * len(kinds):
        for kind in sorted({*kinds}):
            if not done.get(kind):
                yield f"torture: {kind} never came in {cycles} cycles"
