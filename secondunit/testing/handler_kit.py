"""Fake JobContext for tests of handlers: it records what a run reports, and fails a run that breaks a rule."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from secondunit.queue.handler import Workspace
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.queue.payloads.arguments import to_json
from secondunit.queue.running.context import SENDS

T = TypeVar("T")
ROUNDING = 1e-9
NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Report:
    """One report of progress: the fraction of the whole work, 0 to 1."""

    fraction: float
    message: str
    phase: str | None


class FakeContext:
    """A run of a job, without a queue: `await FakeContext.open(tmp_path)`.

    `reports`, `partials` and `figures` hold what the run published; `beats` counts its other signs of life, `quiets`
    has the limits of what it was quiet for; `steps` the stored results by name, `ran` the
    steps whose work was done in this run, `sends` the intents of paid steps that are in doubt. Progress that falls or
    leaves 0 to 1, and phases that weigh more than 1 together, fail the test.
    """

    def __init__(
        self, workspace: Workspace, *, job_id: str, attempt: int, epoch: int, labels: Mapping[str, str]
    ) -> None:
        self.workspace = workspace
        self.job_id = job_id
        self.attempt = attempt
        self.epoch = epoch
        self.labels = labels
        self.parents: Mapping[str, Any] = {}
        self.reports: list[Report] = []
        self.partials: list[Any] = []
        self.figures: dict[str, Any] = {}
        self.steps: dict[str, Any] = {}
        self.sends: dict[str, int] = {}
        self.ran: list[str] = []
        self.beats = 0
        self.quiets: dict[str, timedelta] = {}
        self._phase: str | None = None
        self._floor, self._weight, self._used = 0.0, 1.0, 0.0

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        job_id: str = "job_test",
        attempt: int = 1,
        epoch: int = 1,
        labels: Mapping[str, str] = NO_LABELS,
    ) -> "FakeContext":
        """A run whose workspace lies in `folder`."""
        workspace = Workspace(run=folder / f"run-{epoch}", kept=folder / "kept", log=folder / "job.log")
        await asyncio.to_thread(_make, workspace)
        return cls(workspace, job_id=job_id, attempt=attempt, epoch=epoch, labels=labels)

    @property
    def fraction(self) -> float:
        """How far the run said it is."""
        return self.reports[-1].fraction if self.reports else 0.0

    async def rerun(self, *, attempt: int | None = None) -> "FakeContext":
        """The job's next run, as after a crash: a new lease, the same stored steps and kept folder."""
        again = await FakeContext.open(
            self.workspace.kept.parent,
            job_id=self.job_id,
            attempt=attempt or self.attempt,
            epoch=self.epoch + 1,
            labels=self.labels,
        )
        again.steps, again.sends = dict(self.steps), dict(self.sends)
        return again

    async def progress(self, fraction: float, message: str = "") -> None:
        assert 0 <= fraction <= 1, f"progress goes from 0 to 1, this is {fraction}"
        self._report(self._floor + self._weight * fraction, message)

    def beat(self) -> None:
        self.beats += 1

    @contextmanager
    def quiet(self, limit: timedelta, what: str) -> Iterator[None]:
        self.quiets[what] = limit
        yield

    @asynccontextmanager
    async def phase(self, name: str, weight: float) -> AsyncIterator[None]:
        assert weight > 0, f"phase {name} weighs {weight}"
        self._used += weight
        assert self._used <= 1 + ROUNDING, f"with phase {name} the phases weigh {self._used:g}; 1 is the whole"
        outer = self._phase, self._weight, self._used
        end = self._floor + self._weight * weight
        self._phase, self._weight, self._used = name, self._weight * weight, 0.0
        self._report(self._floor, "")
        try:
            yield
            self._report(end, "")
        finally:
            self._phase, self._weight, self._used = outer
            self._floor = end

    async def step(
        self,
        name: str,
        work: Callable[[], Awaitable[T]],
        *,
        paid: Literal["repeat", "fail"] | None = None,
        keeps: Callable[[T], Iterable[Path]] | None = None,
    ) -> T:
        if name in self.steps and await _all_there(keeps(self.steps[name]) if keeps else ()):
            return self.steps[name]  # type: ignore[no-any-return]  # what the work returned, as JSON gives it back
        self.ran.append(name)
        result = await (self._paid(name, work, paid) if paid else work())
        self.steps[name] = as_json = to_json(result, f"the result of step {name}")
        return as_json  # type: ignore[no-any-return]

    async def partial(self, data: Any) -> None:
        self.partials.append(to_json(data, "partial data"))

    async def stats(self, **figures: Any) -> None:
        self.figures.update(to_json(figures, "stats"))

    def _report(self, fraction: float, message: str) -> None:
        assert fraction >= self.fraction - ROUNDING, f"progress fell from {self.fraction:g} to {fraction:g}"
        self.reports.append(Report(min(fraction, 1.0), message, self._phase))

    async def _paid(self, name: str, work: Callable[[], Awaitable[T]], policy: Literal["repeat", "fail"]) -> T:
        sends = self.sends.get(name, 0)
        if sends >= SENDS or (sends and policy == "fail"):
            raise Deterministic(f"step {name} was sent {sends} times and no answer was stored", type="in_doubt")
        self.sends[name] = sends + 1
        try:
            result = await work()
        except Unanswered:
            raise
        except (Transient, Deterministic, Postponed):
            self.sends[name] = sends
            raise
        self.sends[name] = 0
        return result


def _make(workspace: Workspace) -> None:
    workspace.run.mkdir(parents=True, exist_ok=True)
    workspace.kept.mkdir(exist_ok=True)


async def _all_there(paths: Iterable[Path]) -> bool:
    wanted = list(paths)
    return await asyncio.to_thread(lambda: all(path.exists() for path in wanted))
