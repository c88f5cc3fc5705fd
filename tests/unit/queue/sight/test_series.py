"""Histograms of spans, and points from stored rows."""

import pytest

from secondunit.queue.model import Status
from secondunit.queue.sight.series import SHORTEST, Moves, SeriesRow, Tally, bucket, points, quantile
from secondunit.testing.jobs import NOW, later


@pytest.mark.parametrize("seconds", [SHORTEST, 0.0123, 1.0, 59.9, 3600.0, 86400.0])
def test_a_span_is_told_at_most_a_tenth_too_long(seconds: float) -> None:
    told = quantile({bucket(seconds): 1}, 0.5)
    assert told is not None and seconds * 0.995 <= told <= seconds * 1.105


def test_quantiles_are_of_the_share_that_lies_below() -> None:
    spans = Tally()
    for seconds in range(1, 101):
        spans.add(Moves(NOW, "hls", Status.QUEUED, "started", 1, [seconds]))
    assert 50 <= (quantile(spans.waits, 0.5) or 0) <= 55 and 95 <= (quantile(spans.waits, 0.95) or 0) <= 105
    assert quantile({}, 0.5) is None


def row(at: float, type: str, queued: int, submitted: int) -> SeriesRow:
    tally = Tally()
    tally.add(Moves(NOW, type, None, "queued", submitted))
    tally.queued = queued
    return SeriesRow(later(at), type, tally.row())


def test_what_stands_goes_on_standing_where_nothing_happens_and_the_last_point_is_of_now() -> None:
    rows = [row(60, "hls", 2, submitted=2), row(180, "webp", 1, submitted=1)]
    found = points(rows, NOW, later(250), 60, (9, 4))
    assert [point.queued for point in found] == [None, 2, 2, 3, 9]
    assert [point.counts.get("submitted", 0) for point in found] == [0, 2, 0, 1, 0]
    assert found[-1].running == 4 and found[0].at == NOW


def test_a_window_without_any_move_stands_as_it_stands_now() -> None:
    assert [(point.queued, point.running) for point in points([], NOW, later(60), 60, (5, 1))] == [(5, 1), (5, 1)]


def test_rows_of_one_step_are_added_up() -> None:
    [point] = points([row(0, "hls", 1, submitted=1), row(60, "hls", 3, submitted=2)], NOW, later(299), 300, (3, 0))
    assert point.counts["submitted"] == 3
