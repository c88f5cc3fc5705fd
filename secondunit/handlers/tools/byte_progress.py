"""Download progress in bytes, with its rate and the time left."""

from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext

WINDOW = 5.0
UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


class ByteProgress:
    """The rate is that of the last seconds, counted from the bytes that this run began with."""

    def __init__(self, ctx: JobContext, clock: Clock) -> None:
        self._ctx = ctx
        self._clock = clock
        self._since: tuple[float, int] | None = None
        self._rate: float | None = None
        self._furthest = 0.0

    async def tell(self, have: int, total: int | None, *, fraction: float | None = None) -> None:
        """Report so many bytes of `total`; `fraction` is used where the total is not known."""
        share = min(have / total, 1.0) if total else fraction or 0.0
        self._furthest = max(self._furthest, share)
        self._measure(have)
        self._ctx.beat()  # the words need not change for megabytes
        await self._ctx.progress(self._furthest, describe(have, total, self._rate))

    def _measure(self, have: int) -> None:
        now = self._clock.monotonic()
        if self._since is None or have < self._since[1]:
            self._since = now, have
            return
        span = now - self._since[0]
        if span >= 1:
            self._rate = (have - self._since[1]) / span
        if span >= WINDOW:
            self._since = now, have


def describe(have: int, total: int | None, rate: float | None) -> str:
    """`12.0 of 50.0 MB, 3.0 MB/s, 13 s left`."""
    words = f"{amount(have)} of {amount(total)}" if total else amount(have)
    if rate:
        words += f", {amount(rate)}/s"
        if total and total >= have:
            words += f", {(total - have) / rate:.0f} s left"
    return words


def amount(size: float) -> str:
    """A number of bytes for a reader."""
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"
