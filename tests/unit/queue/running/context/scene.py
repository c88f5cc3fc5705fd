"""A run and its job, over the reference store."""

from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.handler import Workspace
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import Deterministic, classify
from secondunit.queue.running.context import RunContext
from secondunit.queue.state import expire, retry, settle
from secondunit.testing.jobs import claim, held, submit
from secondunit.testing.rig import Rig


class Work:
    """Something to do in a step; counts how often it was done."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.done = 0

    async def __call__(self) -> Any:
        self.done += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Runs(Rig):
    """One job, and the contexts of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Event] = []
        self.hub.tap(self.told.extend)

    async def begin(self) -> RunContext:
        """The first run, or the next one after the daemon died."""
        if "a" not in self.store._jobs:
            await submit(self.store, "a", labels={"video": "v"})
        else:
            await self.change("a", expire, self.clock.now())
        return await self.claimed()

    async def claimed(self) -> RunContext:
        [job] = await claim(self.store, 1, at=self.clock.now())
        space = Workspace(Path("run"), Path("kept"), Path("log"))
        return RunContext(job, held(job), space, self.store, self.hub, self.clock, self.runtime.emit)

    async def fail_in_doubt(self, ctx: RunContext, work: Work) -> None:
        """The run meets the doubt and fails for it; then somebody retries the job."""
        with pytest.raises(Deterministic) as caught:
            await ctx.step("s", work, paid="fail")
        outcome, now = classify(caught.value), self.clock.now()
        assert (await self.change("a", settle, outcome, self.runtime.random, now)).status is Status.FAILED
        await self.change("a", retry, now)

    @property
    def fractions(self) -> list[float]:
        """The progress that live readers were told."""
        return [round(event.progress, 6) for event in self.told if event.name == "progress"]
