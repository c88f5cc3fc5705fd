"""Time series of the queue: what happened in each minute and hour, of each type; waits and runs as histograms. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from secondunit.queue.json_text import dump, load
from secondunit.queue.model import Event, Job
from secondunit.queue.value import Value

MINUTE, HOUR = 60, 3600
MINUTES_KEPT, HOURS_KEPT = timedelta(days=2), timedelta(days=90)
COUNTERS = ("submitted", "started", "completed", "partial", "failed", "cancelled", "retried")
SHORTEST, GROWTH = (
    0.001,
    1.1,
)  # seconds: the upper bound of the first class of a histogram, and of each to the one before

WIDTH = math.log(GROWTH)


class Mark(Value, frozen=True):
    """What one move of a job adds: a counter, and how long the job waited for its start, or ran, in seconds."""

    counter: str | None = None
    wait: float | None = None
    run: float | None = None


class Tally:
    """What happened in one step of time, of one type; `queued` and `running` are as its last move left them."""

    def __init__(self, counts: Sequence[int] = (), waits: str = "{}", runs: str = "{}") -> None:
        self.counts = Counter(dict(zip(COUNTERS, counts, strict=False)))
        self.queued = self.running = 0
        self.waits, self.runs = _read(waits), _read(runs)

    def add(self, mark: Mark, queued: int, running: int) -> None:
        """One move more, after which so many are queued and run."""
        if mark.counter:
            self.counts[mark.counter] += 1
        if mark.wait is not None:
            self.waits[bucket(mark.wait)] += 1
        if mark.run is not None:
            self.runs[bucket(mark.run)] += 1
        self.queued, self.running = queued, running

    def take(self, values: Sequence[int | str]) -> None:
        """Add a later row of the same type, as `row` gave it."""
        *_, queued, running, waits, runs = values
        self.counts.update(dict(zip(COUNTERS, map(int, values), strict=False)))
        self.queued, self.running = int(queued), int(running)
        self.waits.update(_read(str(waits)))
        self.runs.update(_read(str(runs)))

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
        tallies.setdefault((begins(row.at, HOUR), row.type), Tally()).take(row.values)
    return [SeriesRow(at, type, tally.row()) for (at, type), tally in tallies.items()]


class Point(Value, frozen=True):
    """One step of an answer: figures of all types that are asked for; seconds, None where nothing is known."""

    at: datetime
    counts: Mapping[str, int]
    queued: int | None
    running: int | None
    waits: tuple[float | None, float | None]
    runs: tuple[float | None, float | None]


def marked(before: Job | None, job: Job, event: Event) -> Mark:
    """What a move adds, by the job before it and after it, and what is told of it."""
    if event.name == "started" and before:
        since = before.run_at or (before.created_at if before.epoch == 0 else before.updated_at)
        return Mark("started", wait=max((event.at - since).total_seconds(), 0.0))
    if event.name == "queued" and (before is None or before.status.ended):
        return Mark("submitted" if before is None else "retried")
    if event.name == "retrying":
        return Mark("retried")
    if job.status.ended:
        return Mark(event.name, run=None if event.duration is None else event.duration.total_seconds())
    return Mark()


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
            tally.take(row.values)
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
