"""Page of rows that is bounded in bytes: read one after the other, and ended before it holds too much."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from secondunit.queue.model import Job, Page

T = TypeVar("T")
Row = Sequence[Any]
PAGE_BYTES = 8 << 20  # a few of the largest rows: they are held at once as text, as values and as an answer


def cut(things: Iterable[T], limit: int, row_of: Callable[[T], Row], most: int = PAGE_BYTES) -> tuple[list[T], bool]:
    """The first of them, and whether another follows: at most `limit`, and unless it is one alone `most` bytes of text.

    No more is read of `things` than these and one.
    """
    kept: list[T] = []
    size = 0
    for thing in things:
        size += weight(row_of(thing))
        if len(kept) >= limit or (kept and size > most):
            return kept, True
        kept.append(thing)
    return kept, False


def weight(row: Row) -> int:
    """How many bytes its texts are in UTF-8."""
    return sum(len(value) if value.isascii() else len(value.encode()) for value in row if isinstance(value, str))


def rest(jobs: Sequence[Job], more: bool, seqs: Sequence[int], limit: int, end: int | None) -> int | None:
    """Where a search goes on that found these `seqs`, of which it read `jobs`, and looked no further than `end`.

    What was found is one more than fits if the search found enough; a job of these may have been forgotten meanwhile.
    """
    if more and jobs:
        return jobs[-1].seq
    return seqs[-1] if len(seqs) > limit else end


def page_of(jobs: Sequence[Job], more: bool, total: int) -> Page:
    """A page of these jobs, after which more follow or none do."""
    return Page(jobs, total, jobs[-1].seq if more and jobs else None)
