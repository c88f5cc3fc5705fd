"""Cron expressions: the times at which five fields are due in a time zone. Pure; cronsim reads the fields.

The clock's changes are taken as cron does. A time of day that is left out comes at the end of the gap, one that is
twice there comes once. Where minute or hour begin with `*` the clock on the wall counts: nothing in a gap, both later.
"""

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from secondunit.queue.value import Value

LONGEST = 200
MINUTE = timedelta(minutes=1)
MOST_TURNED_BACK = timedelta(hours=3)
FIELDS = "five fields, minute hour day month weekday, such as `30 3 * * 1-5`"


class Cron(Value, frozen=True):
    """An expression that was `checked`, and the zone whose clock it is read by."""

    expression: str
    zone: ZoneInfo


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name; ValueError says what is wrong with it."""
    known = available_timezones()  # a name is a path, too: `right/UTC` and `posixrules` are files, and no zones to us
    try:
        if name in known or name in ("UTC", "Etc/UTC"):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    places = {zone.lower(): zone for zone in known} | {zone.rpartition("/")[2].lower(): zone for zone in known}
    near = difflib.get_close_matches(name.lower(), places, 1, 0.7)
    raise ValueError(f"{name!r} is no time zone" + (f"; {places[near[0]]}, perhaps" if near else ""))


def checked(expression: str) -> str:
    """The expression; ValueError says what is wrong with it."""
    number = len(expression.split())
    if len(expression) > LONGEST or not expression.isascii():
        raise ValueError(f"it is no text of at most {LONGEST} characters of ASCII")
    if number != 5:
        raise ValueError(f"{expression!r} has {number} field{'s' * (number != 1)} in place of five")
    try:
        sample = next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise ValueError(f"{expression!r}: its {field} is none that ever comes") from None
    if sample is None:
        raise ValueError(f"{expression!r} never comes")
    return expression


def upcoming(cron: Cron, after: datetime, number: int) -> Sequence[datetime]:
    """The next times, so many at most, later than `after`; in UTC."""
    return list(islice(_times(cron, after), number))


def passed(cron: Cron, after: datetime, until: datetime, most: int) -> Sequence[datetime]:
    """The times later than `after` that have come by `until`, the newest so many of them, oldest first."""
    first, *more = [*upcoming(cron, after, 2), until + MINUTE]
    if first > until:
        return ()
    span = (more[0] - first) * most  # from its end backwards, in growing steps: a year may hold half a million of them
    while True:
        begin = max(after, until - span)
        found = list(takewhile(lambda at: at <= until, _times(cron, begin)))
        if len(found) >= most or begin == after:
            return found[-most:]
        span *= 8


def _times(cron: Cron, after: datetime) -> Iterator[datetime]:
    """All times later than `after`, each once, in their order."""
    last = after
    for at in _instants(cron, after):
        if at > last:
            last = at
            yield at


def _instants(cron: Cron, after: datetime) -> Iterator[datetime]:
    """The instants that the expression means, from some time before `after` on: in order, some of them twice."""
    minute, hour, *_ = cron.expression.split()
    fixed = not minute.startswith("*") and not hour.startswith("*")
    begin = after.astimezone(cron.zone).replace(tzinfo=None, fold=0)
    if _offset(cron, after - MOST_TURNED_BACK) != _offset(cron, after + MOST_TURNED_BACK):
        begin -= MOST_TURNED_BACK
    again: list[datetime] = []  # what comes once more, after the clock was turned back
    for wall in CronSim(cron.expression, begin):
        local = wall.replace(tzinfo=cron.zone)
        if fixed:
            while _left_out(local):
                local += MINUTE
        elif _left_out(local):
            continue
        first = local.astimezone(UTC)
        while again and again[0] <= first:
            yield again.pop(0)
        yield first
        second = local.replace(fold=1).astimezone(UTC)
        if not fixed and second > first:
            again.append(second)
    yield from again


def _offset(cron: Cron, at: datetime) -> timedelta | None:
    return at.astimezone(cron.zone).utcoffset()


def _left_out(local: datetime) -> bool:
    """Whether the clock jumps over this time."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)
