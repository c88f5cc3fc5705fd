"""A transfer goes through with the whole, or not at all: what it compares, and what it says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from secondunit.queue.errors import NotMoved
from secondunit.queue.stores.moving.ports import Limits
from secondunit.queue.stores.moving.tables import BY_NAME, MovedTable
from secondunit.queue.stores.moving.transfer import NulReplaced, copied, looked_through

ENTRIES = [["a", "1"], ["b", "nul \0"]]


def untold(*_: object) -> None:
    """Nobody wants to know how far it is."""


class Kept:
    """A queue in memory, with rows in `meta` alone; so many are `lost`, and `counted` is added to its counter."""

    limits = Limits("this one", nul=False)
    size = 1

    def __init__(self, entries: Sequence[Any] = (), *, lost: int = 0, counted: int = 0) -> None:
        self.entries = [*entries]
        self.last = 7
        self._lost, self._counted = lost, counted

    def rows(self, table: MovedTable) -> Iterator[Sequence[Any]]:
        yield from self.entries if table is BY_NAME["meta"] else []

    def counters(self) -> Mapping[str, int]:
        return {"last_event": self.last}

    def fill(self, table: MovedTable, rows: Iterable[Sequence[Any]]) -> None:
        self.entries += [*rows][self._lost :]

    def go_on_from(self, counters: Mapping[str, int]) -> None:
        self.last = counters["last_event"] + self._counted


def test_what_arrives_is_what_was_found_in_whatever_order() -> None:
    source, target = Kept(ENTRIES), Kept()
    found = looked_through(source, Limits("another"), untold)
    there = copied(source, target, found, untold)
    assert there.tables == found.tables and target.entries == ENTRIES and there.rows == 2
    assert looked_through(Kept(ENTRIES[::-1]), Limits("another"), untold) == found


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (Kept(lost=1), "rows of meta: 2 became 1"),
        (Kept([["c", "2"]], lost=1), "the digest of meta: "),
        (Kept(counted=1), "the counter last_event: 7 became 8"),
    ],
)
def test_every_difference_is_named(target: Kept, why: str) -> None:
    source = Kept(ENTRIES)
    with pytest.raises(NotMoved, match=why):
        copied(source, target, looked_through(source, Limits("another"), untold), untold)


def test_what_can_not_be_held_is_named_and_a_nul_may_be_replaced() -> None:
    with pytest.raises(NotMoved, match="meta, key b, column value: it holds a NUL") as refused:
        looked_through(Kept(ENTRIES), Kept.limits, untold)
    assert "--replace-nul" in str(refused.value)
    mended = NulReplaced(Kept(ENTRIES))
    assert looked_through(mended, Kept.limits, untold).counters == {"last_event": 7}
    assert [*mended.rows(BY_NAME["meta"])][1] == ["b", "nul \ufffd"]
