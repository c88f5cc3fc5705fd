"""Times, spans and shares as clients read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from secondunit.daemon.formats import instant, milliseconds, percent, size, span

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
    ("lasted", "written"),
    [
        (timedelta(0), 0),
        (timedelta(microseconds=999), 0),
        (timedelta(seconds=1, microseconds=1_999), 1001),
        (timedelta(days=400), 400 * 86_400_000),
        (None, None),
    ],
)
def test_a_span_is_whole_milliseconds(lasted: timedelta | None, written: int | None) -> None:
    assert milliseconds(lasted) == written


@pytest.mark.parametrize(
    ("fraction", "written"),
    [(0.0, "0"), (1.0, "100"), (0.5, "50"), (0.123, "12.3"), (0.1234, "12.3"), (0.99949, "99.9"), (0.9996, "100")],
)
def test_a_share_is_whole_where_it_is_whole_and_has_one_decimal_else(fraction: float, written: str) -> None:
    assert str(percent(fraction)) == written


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.026, "26 ms"),
        (0.4, "0.4 s"),
        (timedelta(seconds=12), "12 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float | timedelta | None, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (640 * 1024**2, "640 MiB"),
        (1.2 * 1024**3, "1.2 GiB"),
        (3 * 1024**5, "3072.0 TiB"),
    ],
)
def test_a_size_is_said_in_the_unit_that_it_fills(count: float, said: str) -> None:
    assert size(count) == said
