"""Encoding progress, read from ffmpeg's -progress lines."""

from collections.abc import Awaitable, Callable

WHOLE = (0.0, 0.99)  # the last hundredth belongs to the verification
Report = Callable[[float, str], Awaitable[None]]


def follow(
    report: Report, duration: float | None, share: tuple[float, float] = WHOLE, before: str = ""
) -> Callable[[str], Awaitable[None]]:
    """What to do with each line: report `out_time` against `duration` seconds, within this share of the whole.

    ffmpeg goes on printing while it hangs, so only a change of `out_time` is reported: the queue's watch over
    progress then sees a job that stands still. `before` begins each message.
    """
    done, speed = 0, ""
    first, last = share

    async def line(text: str) -> None:
        nonlocal done, speed
        key, _, value = text.strip().partition("=")
        if key == "speed":
            speed = value.strip()
        if key == "out_time_us" and value.isdecimal() and int(value) != done:
            done = int(value)
            part = fraction(done / 1e6, duration)
            await report(first + (last - first) * part, before + message(done / 1e6, duration, speed))

    return line


def fraction(seconds: float, duration: float | None) -> float:
    """How far an encode is, 0 to 1."""
    return min(1.0, seconds / duration) if duration else 0.0


def message(seconds: float, duration: float | None, speed: str) -> str:
    """The same for a person: "12.0 s of 60.0 s, 3.1x"."""
    whole = f" of {duration:.1f} s" if duration else ""
    pace = f", {speed}" if speed and speed != "N/A" else ""
    return f"{seconds:.1f} s{whole}{pace}"
