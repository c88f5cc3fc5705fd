"""Where a page of rows ends, and where the next one begins."""

from collections.abc import Iterator

import pytest

from secondunit.queue.model import Job
from secondunit.queue.ports.pages import PAGE_BYTES, cut, rest, weight
from secondunit.queue.value import replace
from secondunit.testing.jobs import new

HALF = "x" * (PAGE_BYTES // 2)


def job(seq: int) -> Job:
    return replace(new(f"job {seq}").job, seq=seq)


@pytest.mark.parametrize(
    ("texts", "limit", "kept", "more"),
    [
        ([], 3, 0, False),
        (["a", "b"], 3, 2, False),
        (["a", "b"], 2, 2, False),
        (["a", "b", "c"], 2, 2, True),
        ([HALF, HALF], 3, 2, False),
        ([HALF, HALF, "x"], 3, 2, True),
        ([HALF * 3, "x"], 3, 1, True),
        ([HALF * 3], 3, 1, False),
    ],
)
def test_a_page_ends_at_its_limit_or_its_bytes_and_is_never_empty(
    texts: list[str], limit: int, kept: int, more: bool
) -> None:
    assert cut([(text,) for text in texts], limit, tuple) == ([(text,) for text in texts[:kept]], more)


def test_no_more_is_read_than_one_row_beyond_the_page() -> None:
    read = 0

    def rows() -> Iterator[tuple[str]]:
        nonlocal read
        for _ in range(9):
            read += 1
            yield (HALF,)

    assert len(cut(rows(), 9, tuple)[0]) == 2 and read == 3


def test_a_row_weighs_its_bytes() -> None:
    assert weight((1, None, "ab", "字", b"x", 2.5)) == 5


def test_a_search_goes_on_behind_what_it_showed_else_behind_what_it_found_or_looked_at() -> None:
    assert rest([job(9), job(8)], True, [9, 8, 7], 2, 3) == 8
    assert rest([job(9)], False, [9], 2, 3) == 3
    assert rest([job(9)], False, [9], 2, None) is None
    assert rest([job(9), job(7)], False, [9, 8, 7], 2, 3) == 7, "8 was forgotten, and what lies behind 7 not looked at"
