"""The metrics of a daemon that a test makes up."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from secondunit.daemon.monitoring.prometheus.exposition import Exposition, Standing
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.queue.errors import StoreBroken
from secondunit.queue.instrumentation import JobsMoved
from secondunit.queue.model import Counts, Event, EventName, Status
from secondunit.queue.store import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Ticks:
    """A clock whose time is set by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    async def tick(self, every: float) -> None:
        await self.sleep(every)


class FakeOutbox:
    """As much of an outbox as a scrape asks."""

    async def counts(self) -> Mapping[str, int]:
        return {"delivered": 9, "dead": 2}


class Counted:
    """As much of a store as a scrape asks."""

    def __init__(self, counts: Counts) -> None:
        self.now = counts
        self.broken = False
        self.engine, self.outbox = self, FakeOutbox()
        self.waiting = 3

    async def counts(self) -> Counts:
        if self.broken:
            raise StoreBroken("it is gone")
        return self.now

    async def limits(self) -> Mapping[str, int]:
        return {"webp": 7}

    async def paused(self) -> frozenset[str]:
        return frozenset({"webp"})


NOTHING = Counts({}, {}, {}, None)


class Subject:
    """Metrics, and the page on which they are scraped."""

    def __init__(self, counts: Counts = NOTHING, standing: Standing | None = None) -> None:
        self.clock, self.store = Ticks(), Counted(counts)
        self.hear = Metrics(self.clock, ["hls", "locations", "webp"])
        self._page = Exposition(
            self.hear, cast(Store, self.store), self.clock, standing or Standing(budget=self._budget)
        )
        self.budget: tuple[int, int] | None = None

    async def _budget(self) -> tuple[int, int] | None:
        return self.budget

    def moved(self, name: EventName, status: Status, **more: Any) -> None:
        self.hear(JobsMoved([Event("job_a", "hls", name, NOW, status, **more)]))

    async def scraped(self) -> dict[str, float]:
        lines = (await self._page.render()).decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
