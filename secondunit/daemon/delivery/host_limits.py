"""Who may be sent to now: a lane per host, narrow until it proves itself, closed for a while when it keeps failing."""

from collections.abc import Collection
from dataclasses import dataclass, field

BREAK_AFTER = 5
LONGEST_BREAK = 300.0
PUT_OFF = 60.0
MOST_IDLE = 1000


@dataclass(frozen=True, slots=True)
class Widths:
    """Sends at once, in all and to one proven host; ids that wait in memory for one host."""

    in_all: int = 64
    per_host: int = 4
    waiting: int = 10_000


@dataclass(slots=True)
class _Lane:
    # Ids in the order they came: a dict, because one may be taken out of the middle.
    waiting: dict[str, None] = field(default_factory=dict)
    running: int = 0
    proven: bool = False
    failures: int = 0
    closed_until: float = 0.0


class Lanes:
    """Which deliveries are being sent, and which wait for their host's turn. Times are seconds of a monotonic clock."""

    def __init__(self, widths: Widths | None = None) -> None:
        self._widths = widths or Widths()
        self._lanes: dict[str, _Lane] = {}
        self._running: set[str] = set()

    @property
    def running(self) -> Collection[str]:
        """The ids that are being sent."""
        return self._running

    def admit(self, host: str, delivery_id: str, now: float) -> bool:
        """Whether to send this one now; if not, its id waits here for its turn."""
        lane = self._lanes.setdefault(host, _Lane())
        if self._open(lane, now):
            lane.waiting.pop(delivery_id, None)
            self._begin(lane, delivery_id)
            return True
        if len(lane.waiting) < self._widths.waiting:
            lane.waiting.setdefault(delivery_id)
        return False

    def next(self, now: float) -> tuple[str, str] | None:
        """The host and id of a waiting one that is to be sent now, hosts taking turns."""
        for host, lane in self._lanes.items():
            if lane.waiting and self._open(lane, now):
                delivery_id = next(iter(lane.waiting))
                del lane.waiting[delivery_id]
                self._begin(lane, delivery_id)
                self._lanes[host] = self._lanes.pop(host)
                return host, delivery_id
        return None

    def done(self, host: str, delivery_id: str, *, alive: bool | None, now: float) -> None:
        """A send has ended; `alive` says whether the host answered like one that works, None that it was not asked."""
        lane = self._lanes[host]
        lane.running -= 1
        self._running.discard(delivery_id)
        if alive:
            lane.proven, lane.failures, lane.closed_until = True, 0, 0.0
        elif alive is not None:
            lane.failures += 1
            if lane.failures >= BREAK_AFTER:
                lane.closed_until = now + min(2.0 ** min(lane.failures - BREAK_AFTER, 32), LONGEST_BREAK)
        self._forget_idle(now)

    def put_off(self, host: str, now: float) -> float:
        """For how many seconds the outbox need not show one that waits here."""
        return max(PUT_OFF, self._lanes[host].closed_until - now)

    def opens_in(self, now: float) -> float | None:
        """The seconds until the next closed lane with waiting ones may be tried again."""
        closed = (lane.closed_until - now for lane in self._lanes.values() if lane.waiting and lane.closed_until > now)
        return min(closed, default=None)

    def prefer(self, host: str, delivery_id: str) -> None:
        """Let this one through next, as a probe if its host has been failing."""
        lane = self._lanes.get(host)
        if lane is not None:
            lane.closed_until = 0.0
            lane.waiting = {delivery_id: None, **lane.waiting}

    def _open(self, lane: _Lane, now: float) -> bool:
        # An unknown or failing host gets one at a time, so that a crowd of hanging ones can't take every place.
        width = self._widths.per_host if lane.proven and not lane.failures else 1
        return now >= lane.closed_until and lane.running < width and len(self._running) < self._widths.in_all

    def _begin(self, lane: _Lane, delivery_id: str) -> None:
        lane.running += 1
        self._running.add(delivery_id)

    def _forget_idle(self, now: float) -> None:
        crowded = len(self._lanes) > MOST_IDLE
        idle = [
            host
            for host, lane in self._lanes.items()
            if not lane.waiting and not lane.running and (crowded or not lane.failures) and lane.closed_until <= now
        ]
        for host in idle:
            del self._lanes[host]
