"""The client on a clock of its own, against our stand-in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from secondunit.handlers.analyze.recipe import SCHEMA
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import GoogleTransport, Question
from secondunit.queue.instrumentation import Fact
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.rig import SteadyRandom

QUESTION = Question("Be brief.", ["Look:", b"\xff\xd8picture", "Write."], SCHEMA, 4096)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Purse:
    """Spending in memory."""

    def __init__(self) -> None:
        self.days: dict[date, int] = {}

    async def used(self, day: date) -> int:
        return self.days.get(day, 0)

    async def add(self, day: date, tokens: int) -> None:
        self.days[day] = self.days.get(day, 0) + tokens


class Bench:
    """A Gemini over the stand-in, its clock at noon."""

    def __init__(self, url: str, stand_in: StandIn, *, limit: float = 20, **options: Any) -> None:
        self.clock = ManualClock(NOON)
        self.stand_in = stand_in
        self.purse = Purse()
        self.facts: list[Fact] = []
        transport = GoogleTransport("key-1", "gemini-x", self.clock, base_url=url, limit=timedelta(seconds=limit))
        self.gemini = Gemini(
            transport,
            "gemini-x",
            clock=self.clock,
            random=SteadyRandom(),
            spending=self.purse,
            emit=self.facts.append,
            **options,
        )

    async def ask(self) -> str:
        return await self.gemini.ask(QUESTION)

    async def refused(self, kind: type[Exception]) -> Any:
        with pytest.raises(kind) as caught:
            await self.ask()
        assert type(caught.value) is kind
        return caught.value


@asynccontextmanager
async def bench(*script: str, **options: Any) -> AsyncIterator[Bench]:
    stand_in = StandIn()
    stand_in.script.extend(script)
    async with stand_in.serving() as url:
        made = Bench(url, stand_in, **options)
        try:
            yield made
        finally:
            await made.gemini.close()
