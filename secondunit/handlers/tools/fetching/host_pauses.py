"""Back-off per host: no job of this process goes to one that asked to be left alone until the time is over."""

from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.outcome import Postponed

MOST_HOSTS = 10_000


class HostPauses:
    """A back-off for each host: open unless closed for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed: dict[str, tuple[float, str]] = {}

    def close(self, host: str, span: timedelta, why: str) -> None:
        """Keep everybody from this host for so long."""
        now = self._clock.monotonic()
        self._closed = {host: pause for host, pause in self._closed.items() if pause[0] > now}
        if len(self._closed) < MOST_HOSTS:
            self._closed[host] = now + span.total_seconds(), why

    def pass_through(self, host: str) -> None:
        """Postponed, with the rest of the wait, if the host is left alone."""
        until, why = self._closed.get(host, (0.0, ""))
        left = until - self._clock.monotonic()
        if host in self._closed and left > 0:
            raise Postponed(f"{host} is left alone for a while: {why}", delay=timedelta(seconds=left))
