"""Formats of times, spans and shares in what clients are told."""

from datetime import UTC, datetime, timedelta
from typing import overload


@overload
def instant(at: datetime) -> str: ...
@overload
def instant(at: None) -> None: ...
@overload
def instant(at: datetime | None) -> str | None: ...
def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    if at is None:
        return None
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="milliseconds")[:-6] + "Z"


@overload
def milliseconds(span: timedelta) -> int: ...
@overload
def milliseconds(span: None) -> None: ...
@overload
def milliseconds(span: timedelta | None) -> int | None: ...
def milliseconds(span: timedelta | None) -> int | None:
    """A span as whole milliseconds."""
    return None if span is None else span // timedelta(milliseconds=1)


def percent(fraction: float) -> int | float:
    """0 to 1 as 0 to 100 with one decimal, whole where it is whole."""
    tenths = round(fraction * 1000)
    return tenths // 10 if tenths % 10 == 0 else tenths / 10
