"""Times, spans and shares as clients read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from secondunit.daemon.formats import instant, milliseconds, percent

NOON = datetime(2026, 1, 22, 12, 0, 0, 123_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (NOON, "2026-01-22T12:00:00.123Z"),
        (NOON.replace(microsecond=0), "2026-01-22T12:00:00.000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-01-22T12:00:00.123Z"),
        (NOON.astimezone(timezone(timedelta(0))), "2026-01-22T12:00:00.123Z"),
        (NOON.replace(year=999), "0999-01-22T12:00:00.123Z"),
        (None, None),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds_wherever_it_was_told(at: datetime | None, written: str) -> None:
    assert instant(at) == written


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (timedelta(0), 0),
        (timedelta(microseconds=999), 0),
        (timedelta(seconds=1, microseconds=1_999), 1001),
        (timedelta(days=400), 400 * 86_400_000),
        (None, None),
    ],
)
def test_a_span_is_whole_milliseconds(span: timedelta | None, written: int | None) -> None:
    assert milliseconds(span) == written


@pytest.mark.parametrize(
    ("fraction", "written"),
    [(0.0, "0"), (1.0, "100"), (0.5, "50"), (0.123, "12.3"), (0.1234, "12.3"), (0.99949, "99.9"), (0.9996, "100")],
)
def test_a_share_is_whole_where_it_is_whole_and_has_one_decimal_else(fraction: float, written: str) -> None:
    assert str(percent(fraction)) == written
