"""Follows ffmpeg's -progress lines: tells the job how far it is, and ends an encode that stands still."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.outcome import Transient

VERIFIED = 0.99
Report = Callable[[float, str], Awaitable[None]]


def follow(report: Report, clock: Clock, duration: float | None, stall: timedelta) -> Callable[[str], Awaitable[None]]:
    """What to do with each line: report `out_time` against `duration` seconds, at most 99 %.

    ffmpeg goes on printing while it hangs, so only a change of `out_time` counts as life; none for `stall` is
    Transient("stalled").
    """
    done, speed, moved = 0, "", clock.monotonic()

    async def line(text: str) -> None:
        nonlocal done, speed, moved
        key, _, value = text.strip().partition("=")
        if key == "speed":
            speed = value.strip()
        if key == "out_time_us" and value.isdigit() and int(value) != done:
            done, moved = int(value), clock.monotonic()
            await report(fraction(done / 1e6, duration), message(done / 1e6, duration, speed))
        elif clock.monotonic() - moved > stall.total_seconds():
            raise Transient(f"ffmpeg stood still at {done / 1e6:.1f} s of the video for {stall}", type="stalled")

    return line


def fraction(seconds: float, duration: float | None) -> float:
    """How far an encode is; the last hundredth belongs to its verification."""
    return min(VERIFIED, seconds / duration) if duration else 0.0


def message(seconds: float, duration: float | None, speed: str) -> str:
    """The same for a person: "12.0 s of 60.0 s, 3.1x"."""
    whole = f" of {duration:.1f} s" if duration else ""
    pace = f", {speed}" if speed and speed != "N/A" else ""
    return f"{seconds:.1f} s{whole}{pace}"
