"""Timecodes: the times of a video, written and read; pure."""

import re

# 75:10 is the 76th minute; 1:15:10 says the same. Subtitles write a comma before the milliseconds.
WRITTEN = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2})(?:[.,](\d{1,3}))?", re.ASCII)


def mm_ss(seconds: float) -> str:
    """MM:SS, minutes counted on past the hour."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def timecode(seconds: float) -> str:
    """HH:MM:SS,mmm, as in subtitles."""
    whole = round(max(0.0, seconds) * 1000)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"


def seconds_in(text: str) -> float | None:
    """The first time that is written in a text; None without one."""
    match = WRITTEN.search(text)
    if not match:
        return None
    hours, minutes, seconds, fraction = match.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")
