"""Estimates: how long a run takes by earlier ones, and how long one that goes on still takes."""

from collections.abc import Sequence
from math import inf, nan

import pytest

from secondunit.queue.sight.estimates import KEPT, LONGEST, Estimate, Rates, Sample, Sizes, Span, left


def estimated(samples: Sequence[Sample], sizes: Sizes) -> Estimate | None:
    return Rates(samples).estimated(sizes)


def sample(took: float, cpu: float = 0.0, **sizes: float) -> Sample:
    return Sample(took, cpu, sizes)


def test_without_earlier_runs_nothing_is_known() -> None:
    assert estimated([], {"bytes": 5.0}) is None
    assert left(None, 5.0, 0.05) is None


def test_by_one_run_twice_the_input_takes_twice_as_long_and_the_error_is_as_large() -> None:
    found = estimated([sample(10.0, 8.0, bytes=100.0)], {"bytes": 200.0})
    assert found == Estimate(Span(20.0, 20.0), 16.0, "bytes", 1)


def test_a_median_hears_nothing_of_a_run_that_went_astray() -> None:
    samples = [sample(n, bytes=10.0 * n) for n in (1.0, 2.0, 3.0)] + [sample(500.0, bytes=10.0)]
    found = estimated(samples, {"bytes": 100.0})
    assert found is not None
    assert found.span.seconds == pytest.approx(10.0)
    assert found.cpu is None
    assert found.span.error == pytest.approx(0.0)


def test_half_of_the_runs_were_nearer_than_the_error() -> None:
    took = [8.0, 9.0, 10.0, 11.0, 12.0]
    found = estimated([sample(one, bytes=1.0) for one in took], {"bytes": 2.0})
    assert found is not None
    assert found.span.seconds == 20.0
    assert sum(abs(2 * one - 20.0) <= found.span.error for one in took) in (2, 3)


def test_without_a_size_the_median_of_all_runs_counts() -> None:
    samples = [sample(one, bytes=one) for one in (1.0, 5.0, 90.0)]
    for sizes in ({}, {"bytes": 0.0}, {"seconds": 3.0}, {"bytes": -1.0}):
        found = estimated(samples, sizes)
        assert found is not None
        assert (found.span.seconds, found.basis, found.runs) == (5.0, "runs", 3)


def test_runs_of_no_size_are_left_out_where_one_is_asked_for() -> None:
    found = estimated([sample(7.0, bytes=0.0), sample(4.0, bytes=2.0), sample(9.0)], {"bytes": 4.0})
    assert found is not None
    assert (found.span.seconds, found.runs) == (8.0, 1)


def test_the_first_size_counts_unless_another_tells_clearly_more() -> None:
    alike = [sample(n, work=n, bytes=2 * n) for n in (1.0, 2.0, 3.0)]
    assert _basis(alike, work=5.0, bytes=9.0) == "work"
    by_bytes = [sample(n, work=work, bytes=n) for n, work in ((1.0, 9.0), (2.0, 1.0), (3.0, 5.0), (4.0, 2.0))]
    assert _basis(by_bytes, work=5.0, bytes=9.0) == "bytes"
    whatever = [sample(5.0 + n / 100, bytes=size) for n, size in enumerate((1.0, 900.0, 30.0, 5000.0))]
    assert _basis(whatever, bytes=7.0) == "runs"


def _basis(samples: list[Sample], **sizes: float) -> str:
    found = estimated(samples, sizes)
    assert found is not None
    return found.basis


def test_only_the_last_runs_count() -> None:
    old, new = [sample(100.0)] * 30, [sample(1.0)] * KEPT
    found = estimated([*old, *new], {})
    assert found is not None
    assert (found.span.seconds, found.runs) == (1.0, KEPT)


def test_what_no_clock_reaches_is_not_told() -> None:
    for size in (1e300, inf, nan):
        found = estimated([sample(10.0, bytes=1e-3)], {"bytes": size})
        assert found is None or found.span.seconds < LONGEST


def test_a_huge_variance_gives_a_huge_error_and_no_fault() -> None:
    found = estimated([sample(10.0**n) for n in range(-6, 6)], {})
    assert found is not None
    assert found.span.error > 0.5 * found.span.seconds


def test_a_run_without_progress_goes_on_for_what_is_left_of_the_estimate() -> None:
    estimate = Estimate(Span(60.0, 6.0), None, "runs", 5)
    assert left(estimate, 20.0, 0.0) == Span(40.0, 6.0)


def test_one_that_takes_longer_than_was_thought_may_end_at_any_moment() -> None:
    estimate = Estimate(Span(60.0, 6.0), None, "runs", 5)
    assert left(estimate, 100.0, 0.0) == Span(0.0, 40.0)


def test_without_earlier_runs_its_progress_counts() -> None:
    assert left(None, 30.0, 0.25) == Span(90.0, 45.0)
    assert left(None, 30.0, 1.0) == Span(0.0, 0.0)


def test_the_further_it_is_the_more_its_progress_counts() -> None:
    slow = Estimate(Span(100.0, 1.0), None, "runs", 9)
    gone = [(0.2, 40.0), (0.5, 100.0), (0.9, 180.0)]  # it really takes 200 s
    found = [left(slow, elapsed, progress) for progress, elapsed in gone]
    seconds = [one.seconds for one in found if one]
    truth = [200.0 - elapsed for _, elapsed in gone]
    off = [abs(one - true) / true for one, true in zip(seconds, truth, strict=True)]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 0.15


def test_a_clock_that_was_set_back_and_a_progress_that_falls_make_no_nonsense() -> None:
    estimate = Estimate(Span(60.0, 6.0), None, "runs", 5)
    assert left(estimate, -3600.0, 0.5) == Span(60.0, 6.0)
    for progress in (0.8, 0.3, 0.0, 1.5):
        found = left(estimate, 30.0, progress)
        assert found is not None
        assert 0 <= found.seconds < LONGEST
        assert found.error >= 0
