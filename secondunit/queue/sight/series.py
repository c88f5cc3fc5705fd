"""Time series of the queue: what happened in each minute and hour, of each type; waits and runs as histograms. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from secondunit.queue.model import Event, EventName, Status
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.value import Value

MINUTE, HOUR = 60, 3600
MINUTES_KEPT, HOURS_KEPT = timedelta(days=2), timedelta(days=90)
ENDS = ("completed", "partial", "failed", "cancelled")
COUNTERS = ("submitted", "started", *ENDS, "retried")
NOTHING = (*[0] * len(COUNTERS), 0, 0, "{}", "{}")
QUEUED, RUNNING = Status.QUEUED, Status.RUNNING
AFTER: Mapping[str, Status] = {"queued": QUEUED, "retrying": QUEUED, "started": RUNNING}  # by others they end
# In seconds, the upper bound of the first class of a histogram, and of each by the one before.
SHORTEST, GROWTH = 0.001, 1.1
WIDTH = math.log(GROWTH)


class Moves(Value, frozen=True):
    """Moves of one kind, in one minute, of jobs of one type that stood `before` as this says (None: they are new).

    `spans` are in seconds: how long those that started had been ready, how long the runs of others took.
    """

    at: datetime
    type: str
    before: Status | None
    name: EventName
    number: int = 1
    spans: Sequence[float] = ()


class Tally:
    """What happened in one step of time, of one type; `queued` and `running` are as its last move left them."""

    def __init__(self, values: Sequence[Any] = NOTHING) -> None:
        """As `row` gave it."""
        *counts, self.queued, self.running, waits, runs = values
        self.counts = Counter(dict(zip(COUNTERS, counts, strict=True)))
        self.waits, self.runs = _read(waits), _read(runs)

    def add(self, moves: Moves) -> None:
        """So many moves more."""
        if counter := counted(moves.before, moves.name):
            self.counts[counter] += moves.number
        if moves.name == "started":
            self.waits.update(map(bucket, moves.spans))
        elif counter in ENDS:
            self.runs.update(map(bucket, moves.spans))

    def take(self, later: "Tally") -> None:
        """Add a later one of the same type."""
        self.counts.update(later.counts)
        self.queued, self.running = later.queued, later.running
        self.waits.update(later.waits)
        self.runs.update(later.runs)

    def row(self) -> tuple[int | str, ...]:
        """As it is stored: the counters, `queued`, `running`, both histograms."""
        counts = [self.counts[name] for name in COUNTERS]
        return (
            *counts,
            self.queued,
            self.running,
            dump(dict(sorted(self.waits.items()))),
            dump(dict(sorted(self.runs.items()))),
        )


class SeriesRow(Value, frozen=True):
    """A stored tally, that began at `at`."""

    at: datetime
    type: str
    values: tuple[int | str, ...]


def rolled(hours: Iterable[SeriesRow], minutes: Iterable[SeriesRow]) -> Sequence[SeriesRow]:
    """The hours that these minutes belong to: what was known of them already, and the minutes, which come in order."""
    tallies: dict[tuple[datetime, str], Tally] = {}
    for row in (*hours, *minutes):
        tallies.setdefault((begins(row.at, HOUR), row.type), Tally()).take(Tally(row.values))
    return [SeriesRow(at, type, tally.row()) for (at, type), tally in tallies.items()]


class Point(Value, frozen=True):
    """One step of an answer: figures of all types that are asked for; seconds, None where nothing is known."""

    at: datetime
    counts: Mapping[str, int]
    queued: int | None
    running: int | None
    waits: tuple[float | None, float | None]
    runs: tuple[float | None, float | None]


def counted(before: Status | None, name: EventName) -> str | None:
    """The counter that a move adds to."""
    if name == "queued":
        return "submitted" if before is None else "retried" if before.ended else None
    return "retried" if name == "retrying" else name


def moved(before: Event | None, event: Event) -> Moves:
    """A move, by what was told of its job before, and what is told of it."""
    span = event.duration
    if event.name == "started" and before:
        span = event.at - (before.run_at or before.at)
    spans = [] if span is None else [span.total_seconds()]
    return Moves(begins(event.at, MINUTE), event.job_type, before.status if before else None, event.name, 1, spans)


def tallied(
    moves: Iterable[Moves], standing: Mapping[tuple[str, Status | None], int]
) -> Mapping[tuple[datetime, str], Tally]:
    """What these moves come to in each minute and type; `standing` says how many jobs stand where after all of them."""
    tallies: dict[tuple[datetime, str], Tally] = {}
    left = Counter(standing)
    for move in sorted(moves, key=lambda move: move.at, reverse=True):
        key = move.at, move.type
        if key not in tallies:
            tallies[key] = tally = Tally()
            tally.queued, tally.running = (max(left[move.type, status], 0) for status in (QUEUED, RUNNING))
        tallies[key].add(move)
        left[move.type, AFTER.get(move.name)] -= move.number
        left[move.type, move.before] += move.number
    return tallies


def begins(at: datetime, step: int) -> datetime:
    """When the step of time began that this moment lies in."""
    return datetime.fromtimestamp(at.timestamp() // step * step, UTC)


def bucket(seconds: float) -> int:
    """The class of a histogram that a span falls in; each is a tenth wider than the one before."""
    return 0 if seconds <= SHORTEST else math.ceil(math.log(seconds / SHORTEST) / WIDTH)


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The span below which this share of all lies, at most a tenth too long; None of none."""
    left = math.ceil(share * sum(histogram.values()))
    for which, n in sorted(histogram.items()):
        left -= n
        if left <= 0:
            return float(f"{SHORTEST * GROWTH**which:.3g}")
    return None


def points(rows: Iterable[SeriesRow], since: datetime, until: datetime, step: int, now: tuple[int, int]) -> list[Point]:
    """A point for each step from `since` on; `now` is how many are queued and run at `until`.

    Where nothing happened, as many go on being queued and running as before.
    """
    by_step: dict[datetime, list[SeriesRow]] = {}
    for row in sorted(rows, key=lambda row: row.at):
        by_step.setdefault(max(begins(row.at, step), begins(since, step)), []).append(row)
    standing: dict[str, tuple[int, int]] = {}
    found: list[Point] = []
    at, last = begins(since, step), begins(until, step)
    while at <= last:
        tally = Tally()
        for row in by_step.get(at, ()):
            tally.take(Tally(row.values))
            standing[row.type] = tally.queued, tally.running
        stand = now if at == last or not by_step else _summed(standing)
        found.append(Point(at, dict(tally.counts), *stand, _both(tally.waits), _both(tally.runs)))
        at += timedelta(seconds=step)
    return found


def _summed(standing: Mapping[str, tuple[int, int]]) -> tuple[int | None, int | None]:
    if not standing:
        return None, None
    return sum(queued for queued, _ in standing.values()), sum(running for _, running in standing.values())


def _both(histogram: Mapping[int, int]) -> tuple[float | None, float | None]:
    return quantile(histogram, 0.5), quantile(histogram, 0.95)


def _read(histogram: str) -> Counter[int]:
    return Counter({int(which): n for which, n in load(histogram).items()})
