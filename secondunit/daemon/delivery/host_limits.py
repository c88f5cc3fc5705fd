"""Bulkhead and circuit breaker per receiving host: one send at a time until it proves itself, none while it is down."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from secondunit.handlers.tools.circuit_breaker import CircuitBreaker
from secondunit.queue.retry import Backoff
from secondunit.queue.value import Value

BREAKS = Backoff(timedelta(seconds=1), timedelta(minutes=5))
PUT_OFF = 60.0
MOST_IDLE = 1000
STATES = ("working", "untried", "down")


class Widths(Value, frozen=True):
    """Sends at once, in all and to one proven host; ids that wait in memory for one host."""

    in_all: int = 64
    per_host: int = 4
    waiting: int = 10_000


@dataclass(slots=True)
class _HostLimit:
    # Ids in the order they came, and until when each may wait: a dict, because one may be taken out of the middle.
    waiting: dict[str, datetime] = field(default_factory=dict)
    running: int = 0
    proven: bool = False
    breaker: CircuitBreaker = field(default_factory=lambda: CircuitBreaker(backoff=BREAKS))


class HostLimits:
    """Bulkheads and circuit breakers of hosts: which deliveries are being sent, and which wait. Monotonic seconds."""

    def __init__(self, widths: Widths | None = None) -> None:
        self._widths = widths or Widths()
        self._limits: dict[str, _HostLimit] = {}
        self._running: set[str] = set()

    def states(self, now: float) -> Mapping[str, int]:
        """How many hosts are on its hands: those that answer, those not heard from yet, and those that fail."""
        counted = Counter(_state(limit, now) for limit in self._limits.values())
        return {state: counted[state] for state in STATES}

    @property
    def running(self) -> Collection[str]:
        """The ids that are being sent."""
        return self._running

    @property
    def held(self) -> Collection[str]:
        """The ids that are being sent, or wait here for their turn."""
        return self._running.union(*(limit.waiting for limit in self._limits.values()))

    def admit(self, host: str, delivery_id: str, now: float, until: datetime) -> Literal["send", "wait", "full"]:
        """Whether to send this one now; if not, its id waits here for its turn, until then, if there is room for it."""
        limit = self._limits.setdefault(host, _HostLimit())
        if self._open(limit, now):
            limit.waiting.pop(delivery_id, None)
            self._begin(limit, delivery_id)
            return "send"
        if delivery_id not in limit.waiting and len(limit.waiting) >= self._widths.waiting:
            return "full"
        limit.waiting.setdefault(delivery_id, until)
        return "wait"

    def overdue(self, now: datetime) -> Sequence[str]:
        """Those that have waited for as long as they may; they wait no longer."""
        over = []
        for limit in self._limits.values():
            ids = [id for id, until in limit.waiting.items() if until <= now]
            over += ids
            for id in ids:
                del limit.waiting[id]
        return over

    def next(self, now: float) -> tuple[str, str] | None:
        """The host and id of a waiting one that is to be sent now, hosts taking turns."""
        for host, limit in self._limits.items():
            if limit.waiting and self._open(limit, now):
                delivery_id = next(iter(limit.waiting))
                del limit.waiting[delivery_id]
                self._begin(limit, delivery_id)
                self._limits[host] = self._limits.pop(host)
                return host, delivery_id
        return None

    def done(self, host: str, delivery_id: str, *, alive: bool | None, now: float) -> None:
        """A send has ended; `alive` says whether the host answered like one that works, None that it was not asked."""
        limit = self._limits[host]
        limit.running -= 1
        self._running.discard(delivery_id)
        if alive:
            limit.proven = True
            limit.breaker.succeeded()
            limit.breaker.half_open()
        elif alive is not None:
            limit.breaker.failed(now)
        self._forget_idle(now)

    def begin_anew(self) -> None:
        """Nothing is being sent, and nothing waits here, whatever an earlier loop left; hosts stay as they were."""
        self._running.clear()
        for limit in self._limits.values():
            limit.running = 0
            limit.waiting.clear()

    def put_off(self, host: str, now: float) -> float:
        """For how many seconds the outbox need not show one that has no room here."""
        return max(PUT_OFF, self._limits[host].breaker.left(now))

    def opens_in(self, now: float) -> float | None:
        """The seconds until the next host whose breaker is open and that has waiting ones may be tried again."""
        left = (limit.breaker.left(now) for limit in self._limits.values() if limit.waiting)
        return min(filter(None, left), default=None)

    def prefer(self, host: str, delivery_id: str, until: datetime) -> None:
        """Let this one through next, as a probe if its host has been failing."""
        limit = self._limits.get(host)
        if limit is not None:
            limit.breaker.half_open()
            limit.waiting = {delivery_id: until, **limit.waiting}

    def _open(self, limit: _HostLimit, now: float) -> bool:
        # An unknown or failing host gets one at a time, so that a crowd of hanging ones can't take every place.
        width = self._widths.per_host if limit.proven and not limit.breaker.failures else 1
        return not limit.breaker.left(now) and limit.running < width and len(self._running) < self._widths.in_all

    def _begin(self, limit: _HostLimit, delivery_id: str) -> None:
        limit.running += 1
        self._running.add(delivery_id)

    def _forget_idle(self, now: float) -> None:
        crowded = len(self._limits) > MOST_IDLE
        for host, limit in list(self._limits.items()):
            busy = limit.waiting or limit.running or limit.breaker.left(now)
            if not busy and (crowded or not limit.breaker.failures):
                del self._limits[host]


def _state(limit: _HostLimit, now: float) -> str:
    if limit.breaker.left(now) or limit.breaker.failures:
        return "down"
    return "working" if limit.proven else "untried"
