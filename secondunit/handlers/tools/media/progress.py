"""Encoding progress, read from ffmpeg's -progress lines."""

from collections.abc import Awaitable, Callable

VERIFIED = 0.99
Report = Callable[[float, str], Awaitable[None]]


def follow(report: Report, duration: float | None) -> Callable[[str], Awaitable[None]]:
    """What to do with each line: report `out_time` against `duration` seconds, at most 99 %.

    ffmpeg goes on printing while it hangs, so only a change of `out_time` is reported: the queue's watch over
    progress then sees a job that stands still.
    """
    done, speed = 0, ""

    async def line(text: str) -> None:
        nonlocal done, speed
        key, _, value = text.strip().partition("=")
        if key == "speed":
            speed = value.strip()
        if key == "out_time_us" and value.isdigit() and int(value) != done:
            done = int(value)
            await report(fraction(done / 1e6, duration), message(done / 1e6, duration, speed))

    return line


def fraction(seconds: float, duration: float | None) -> float:
    """How far an encode is; the last hundredth belongs to its verification."""
    return min(VERIFIED, seconds / duration) if duration else 0.0


def message(seconds: float, duration: float | None, speed: str) -> str:
    """The same for a person: "12.0 s of 60.0 s, 3.1x"."""
    whole = f" of {duration:.1f} s" if duration else ""
    pace = f", {speed}" if speed and speed != "N/A" else ""
    return f"{seconds:.1f} s{whole}{pace}"
