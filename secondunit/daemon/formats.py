"""Formats of times, spans and shares in what clients are told, of spans and sizes in what people read."""

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


def span(seconds: float | timedelta | None) -> str:
    """A span as people say it: 26 ms, 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "–"
    left = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if 0 < left < 0.1:
        return f"{left * 1000:.0f} ms"
    if left < 10:
        return f"{left:.1f} s" if left > 0 else "0 s"
    whole = round(left)
    for unit, size, below, smaller in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {below}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes as people say it: 640 MiB, 1.2 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
