"""Circuit breaker per host: no job goes through yt-dlp to one that asked to be left alone until the time is over."""

from datetime import timedelta

from secondunit.handlers.tools.circuit_breaker import CircuitBreaker
from secondunit.queue.clock import Clock
from secondunit.queue.outcome import Postponed

MOST_HOSTS = 10_000


class HostPauses:
    """The hosts that asked for a pause, each until it is over; of two pauses the longer holds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}

    def close(self, host: str, span: timedelta, why: str) -> None:
        """Keep everybody from this host for so long."""
        now = self._clock.monotonic()
        self._breakers = {name: breaker for name, breaker in self._breakers.items() if breaker.left(now)}
        if host in self._breakers or len(self._breakers) < MOST_HOSTS:
            self._breakers.setdefault(host, CircuitBreaker()).pause(now, span, why)

    def pass_through(self, host: str) -> None:
        """Postponed, with the rest of the wait, if the host is left alone."""
        breaker = self._breakers.get(host)
        if breaker and (left := breaker.left(self._clock.monotonic())):
            raise Postponed(f"host_paused: {host} is left alone for a while: {breaker.why}", delay=left)
