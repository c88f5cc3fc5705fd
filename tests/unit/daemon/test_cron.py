"""When a cron expression is due: clock changes as cron takes them, never twice, never out of order; what is refused."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from secondunit.daemon.cron import Cron, checked, passed, upcoming, zone_of

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
DAY = timedelta(days=1)
# The clock changes at midnight, by half an hour, by two hours, against the sun, never; and by an hour, north and south.
ZONES = (
    "Europe/Berlin America/New_York Australia/Sydney Australia/Lord_Howe Antarctica/Troll Europe/Dublin"
    " America/Havana Africa/Cairo Asia/Beirut Asia/Taipei Etc/UTC"
).split()


def local(cron: str, zone: ZoneInfo, after: str, number: int) -> list[str]:
    """The next times, as the zone's clock shows them, after such a time of it."""
    begin = datetime.fromisoformat(after).replace(tzinfo=zone)
    return [f"{at.astimezone(zone):%m-%d %H:%M %z}" for at in upcoming(Cron(cron, zone), begin, number)]


def test_a_time_that_spring_leaves_out_comes_at_the_end_of_the_gap() -> None:
    assert local("30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["03-29 03:00 +0200", "03-30 02:30 +0200"]
    assert local("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", 2) == ["10-04 02:30 +1100", "10-05 02:15 +1100"]


def test_two_times_that_spring_leaves_out_are_one_run() -> None:
    assert local("0,30 2,3 * * *", BERLIN, "2026-03-29T01:00", 3) == [
        "03-29 03:00 +0200",
        "03-29 03:30 +0200",
        "03-30 02:00 +0200",
    ]


def test_a_time_that_autumn_has_twice_comes_once_and_first() -> None:
    assert local("30 1 * * *", NEW_YORK, "2026-10-31T12:00", 2) == ["11-01 01:30 -0400", "11-02 01:30 -0500"]


def test_between_the_two_a_time_that_has_come_is_not_due_again() -> None:
    between = datetime(2026, 11, 1, 5, 45, tzinfo=UTC)  # 01:45, the first one
    for after in (between, between + timedelta(minutes=30)):  # 01:15, the second one
        [following] = upcoming(Cron("30 1 * * *", NEW_YORK), after, 1)
        assert following == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def test_every_quarter_of_an_hour_goes_on_through_both_changes() -> None:
    for begin in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        times = upcoming(Cron("*/15 * * * *", BERLIN), begin, 12)
        assert list(times) == [begin + timedelta(minutes=15 * n) for n in range(1, 13)]


def test_within_an_hour_that_comes_twice_the_second_is_not_forgotten() -> None:
    begin = datetime(2026, 10, 25, 0, 20, tzinfo=UTC)  # 02:20, the first one
    times = upcoming(Cron("5,10 * * * *", BERLIN), begin, 4)
    assert [f"{at:%H:%M}" for at in times] == ["01:05", "01:10", "02:05", "02:10"]


def test_minutes_of_an_hour_that_is_left_out_do_not_come_that_day() -> None:
    assert local("*/30 2 * * *", BERLIN, "2026-03-28T02:10", 3) == [
        "03-28 02:30 +0100",
        "03-30 02:00 +0200",
        "03-30 02:30 +0200",
    ]


def test_an_hour_after_a_change_by_half_of_one_is_whole() -> None:
    times = local("* 3 4 10 *", LORD_HOWE, "2026-10-03T12:00", 60)
    assert (times[0], times[-1]) == ("10-04 03:00 +1100", "10-04 03:59 +1100")
    assert local("*/30 1 5 4 *", LORD_HOWE, "2026-04-04T12:00", 3) == [
        "04-05 01:00 +1100",
        "04-05 01:30 +1100",
        "04-05 01:30 +1030",
    ]


def test_the_leap_day_comes_when_there_is_one() -> None:
    assert [at.year for at in upcoming(Cron("0 0 29 2 *", ZoneInfo("UTC")), datetime(2096, 1, 1, tzinfo=UTC), 3)] == [
        2096,
        2104,
        2108,
    ]


EXPRESSIONS = (
    "0 2 * * *", "30 1 * * *", "0,30 2,3 * * *", "*/15 * * * *", "15 * * * *", "0 */2 * * *", "0 0 * * *", "30 0 * * 5",
    "*/20 0-3 * * *", "0 3 1 * *", "5-10 1-3 * * 0", "0 12 L * *", "0 6 * * 1#2", "59 23 31 12 *",
)  # fmt: skip
MOMENTS = st.integers(0, 2 * 365 * 86_400).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), MOMENTS)
def test_times_grow_whatever_they_are_counted_from(expression: str, zone: str, after: datetime) -> None:
    cron = Cron(expression, ZoneInfo(zone))
    times = upcoming(cron, after, 8)
    assert times[0] > after
    assert list(times) == sorted({*times})
    assert upcoming(cron, times[3], 4) == times[4:]
    assert list(passed(cron, after, times[-1], 100)) == list(times)
    assert list(passed(cron, after, times[-1] - timedelta(seconds=1), 3)) == list(times[-4:-1])


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS), st.sampled_from([zone for zone in ZONES if zone != "Australia/Lord_Howe"]), MOMENTS
)
def test_they_are_cronsims_each_once(expression: str, zone: str, after: datetime) -> None:
    theirs = CronSim(expression, (after - DAY).astimezone(ZoneInfo(zone)))  # which forgets which of two it began at
    expected = dict.fromkeys(at for at in (next(theirs).astimezone(UTC) for _ in range(150)) if at > after)
    assert list(upcoming(Cron(expression, ZoneInfo(zone)), after, 5)) == list(expected)[:5]


def test_of_a_year_of_minutes_the_newest_are_found_without_a_look_at_the_others() -> None:
    now = datetime(2026, 11, 28, 18, 0, 30, tzinfo=UTC)
    cron = Cron("* * * * *", BERLIN)
    times = passed(cron, now - 365 * DAY, now, 100)
    assert (len(times), times[0], times[-1]) == (
        100,
        now.replace(second=0) - timedelta(minutes=99),
        now.replace(second=0),
    )
    assert list(passed(cron, now, now, 100)) == []
    assert len(passed(Cron("0 3 * * *", BERLIN), now - 365 * DAY, now, 100)) == 100
    assert len(passed(Cron("*/30 0 1 1 *", BERLIN), now - 3 * 365 * DAY, now, 100)) == 6


def test_of_times_that_come_in_bunches_the_newest_are_found() -> None:
    now = datetime(2026, 11, 28, 18, 0, tzinfo=UTC)
    times = passed(Cron("0-9 3 * * *", ZoneInfo("UTC")), now - 90 * DAY, now, 12)
    bunch = [now.replace(hour=3, minute=minute) for minute in range(10)]
    assert list(times) == [bunch[8] - DAY, bunch[9] - DAY, *bunch]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("@daily", "1 field "),
        ("", "0 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("*/0 * * * *", "minute"),
        ("* * 0 * *", "day-of-month"),
        ("0 0 30 2 *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day-of-week"),
        ("0 0 */31 2 1#5", "never comes"),
        ("* * * * MON-", "day-of-week"),
        ("٣ * * * *", "ASCII"),
        ("1" * 300 + " * * * *", "200 characters"),
    ],
)
def test_what_is_no_expression_or_never_comes_is_refused_with_the_reason(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checked(expression)


def test_expressions_are_taken_as_they_are() -> None:
    for expression in ("30 3 * * 1-5", "0 0 29 2 *", "0 0 30 2 1", "0 0 L * sun", "*/5 8-18/2 1,15 jan-mar *"):
        assert checked(expression) == expression


@pytest.mark.parametrize(
    "name", ["", "Nowhere/City", "/etc/localtime", "../UTC", "right/UTC", "posixrules", "America", "\0", "\ud800"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone_of(name)


def test_a_zone_is_found_by_its_name_and_another_is_suggested() -> None:
    assert (zone_of("UTC").key, zone_of("Etc/UTC").key, zone_of("Asia/Taipei").key) == ("UTC", "Etc/UTC", "Asia/Taipei")
    for wrong in ("Taipei", "asia/taipei", "Asia/Taipeh"):
        with pytest.raises(ValueError, match="Asia/Taipei, perhaps"):
            zone_of(wrong)
