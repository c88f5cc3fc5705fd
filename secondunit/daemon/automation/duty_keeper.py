"""Leader election: loops that run on one daemon of a queue at a time, each while this one holds its duty.

A holder renews every two seconds. One that is killed is followed within six and a bit; one that stops gives back.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from secondunit.queue.clock import Clock
from secondunit.queue.errors import DutyLost, StoreFull
from secondunit.queue.ids import box_of
from secondunit.queue.ports.duties import AT_ONCE, Candidate, Duties, Duty, Tenure
from secondunit.queue.running.nap import nap
from secondunit.queue.value import Value

TTL = timedelta(seconds=6)
MARGIN = timedelta(seconds=1)  # that a holder stops before others may have it: two clocks, and what it takes to stop
EVERY = TTL / 3
PATIENCE = 2 * EVERY  # of a box that drains: the others have looked by then
FOR_EVER = timedelta(days=36525)  # where nobody else could have it
REST_ALONE = 3600.0
TO_GIVE_BACK = 2.0

log = structlog.get_logger(__name__)


class Shift(Value, frozen=True):
    """What is done under a duty: `run`, until it is cancelled, or, where there is an `end`, until that asks it to.

    `drains`: it goes on while the box drains, unless another box takes it.
    """

    name: str
    run: Callable[[Tenure], Coroutine[Any, Any, None]]
    end: Callable[[], None] | None = None
    drains: bool = False


@dataclass(slots=True)
class _Held:
    shift: Shift
    duty: Duty
    task: asyncio.Task[None] | None = None
    ending: bool = False


@dataclass(slots=True)
class _State:
    held: dict[str, _Held] = field(default_factory=dict)
    holders: dict[str, str | None] = field(default_factory=dict)
    sure_until: float = 0.0
    heir: bool = True
    drained: bool = False
    over: bool = False


class DutyKeeper:
    """Takes, renews and gives back duties, and starts and stops their loops. A loop that fails takes the keeper down.

    `shared`: other daemons may want them, too; if not, all are held from the start to the end.
    """

    def __init__(
        self,
        duties: Duties,
        boot: str,
        clock: Clock,
        shifts: Sequence[Shift],
        *,
        shared: bool,
        draining: Callable[[], bool],
    ) -> None:
        self._duties = duties
        self._boot = boot
        self._clock = clock
        self._shifts = {shift.name: shift for shift in shifts}
        self._shared = shared
        self._ttl = TTL if shared else FOR_EVER
        self._draining = draining
        self._state = _State()
        self._woken = asyncio.Event()

    def holder(self, name: str) -> str | None:
        """The box that had a duty when this one looked last; None if none had, or it was this one."""
        boot = self._state.holders.get(name)
        return None if boot is None or boot == self._boot else box_of(boot).removesuffix("/")

    def wake(self) -> None:
        """Something changed: look at once, not only when it is time."""
        self._woken.set()

    def end(self) -> None:
        """Have every loop end, and give all back; `run` returns after that."""
        self._state.over = True
        self.wake()

    async def run(self) -> None:
        """Hold what can be held until `end`."""
        async with asyncio.TaskGroup() as loops:
            while not self._state.over or self._state.held:
                self._woken.clear()
                await self._round(loops)
                if not self._state.over or self._state.held:
                    await nap(self._woken, self._clock, self._rest())

    async def _round(self, loops: asyncio.TaskGroup) -> None:
        if not self._sure():
            await self._lose({*self._state.held})
        self._let_go(self._unwanted())
        await self._give_back([name for name, held in self._state.held.items() if held.ending and _done(held)])
        wanted = {*self._wanted(), *self._state.held}
        if not self._shared and wanted == self._state.held.keys():
            return
        asked_at = self._clock.monotonic()
        taken = await self._ask(loops, wanted)
        if taken is None:
            return
        self._state.heir = False
        self._state.sure_until = asked_at + (self._ttl - MARGIN).total_seconds()
        self._state.holders = {duty.name: duty.boot for duty in taken}
        ours = [duty for duty in taken if duty.boot == self._boot]
        await self._lose({*self._state.held} - {duty.name for duty in ours if self._same(duty)})
        if self._sure():
            for duty in ours:
                self._start(loops, duty)

    def _rest(self) -> float:
        if not self._shared and self._state.held.keys() == self._shifts.keys():
            return REST_ALONE
        left = self._state.sure_until - self._clock.monotonic()
        return min(EVERY.total_seconds(), left) if self._state.held and left > 0 else EVERY.total_seconds()

    def _wanted(self) -> Collection[str]:
        if self._state.over:
            return ()
        leaves = self._shared and self._draining()
        return [name for name, shift in self._shifts.items() if shift.drains or not leaves]

    def _unwanted(self) -> Collection[str]:
        """What is to be let go: all at the end, and when a drain begins, also what nobody else may want."""
        begins = self._shared and self._draining() and not self._state.drained
        self._state.drained = self._shared and self._draining()
        return {*self._state.held} if begins else {*self._state.held} - {*self._wanted()}

    def _let_go(self, names: Collection[str]) -> None:
        for name in names:
            held = self._state.held[name]
            if held.ending:
                continue
            held.ending = True
            if held.task and held.shift.end:
                held.shift.end()
            elif held.task:
                held.task.cancel()
            if held.task:
                held.task.add_done_callback(lambda _: self.wake())

    async def _give_back(self, names: Collection[str]) -> None:
        for name in names:
            del self._state.held[name]
        if names and self._shared:
            log.info("duty.given_back", message=f"this box leaves to others: {', '.join(sorted(names))}")
            with suppress(StoreFull, TimeoutError):  # then it runs out
                async with asyncio.timeout(TO_GIVE_BACK):
                    await self._duties.give_back(names, self._boot, self._clock.now())

    async def _ask(self, loops: asyncio.TaskGroup, names: Collection[str]) -> Sequence[Duty] | None:
        """How these stand from now on; None if that is not known. While no answer comes, none outlasts its time."""
        asking = loops.create_task(self._take(names))
        left = self._state.sure_until - self._clock.monotonic()
        if self._state.held and self._shared:
            alarm = loops.create_task(self._clock.sleep(max(left, 0.0)))
            await asyncio.wait([asking, alarm], return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
            if not asking.done():
                await self._lose({*self._state.held})
        return await asking

    async def _take(self, names: Collection[str]) -> Sequence[Duty] | None:
        patience = PATIENCE if self._state.drained else AT_ONCE
        candidate = Candidate(self._boot, self._ttl, self._clock.now(), patience, self._state.heir)
        try:
            return await self._duties.take(names, candidate)
        except StoreFull:
            return None

    def _same(self, duty: Duty) -> bool:
        held = self._state.held.get(duty.name)
        return held is not None and held.duty.term == duty.term and not (_done(held) and not held.ending)

    async def _lose(self, names: Collection[str]) -> None:
        """Stop at once what is not ours any more, or not surely."""
        lost = [self._state.held.pop(name) for name in names]
        tasks = [held.task for held in lost if held.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if lost:
            told = ", ".join(sorted(names))
            log.warning("duty.lost", message=f"this box could not renew in time, or another box has: {told}")

    def _start(self, loops: asyncio.TaskGroup, duty: Duty) -> None:
        if duty.name in self._state.held:
            return
        held = self._state.held[duty.name] = _Held(self._shifts[duty.name], duty)
        held.task = loops.create_task(self._work(held))
        if self._shared:
            log.info("duty.taken", message=f"this box does for all from now on: {duty.name}", term=duty.term)

    async def _work(self, held: _Held) -> None:
        tenure = Tenure(held.duty, self._sure)
        try:
            await held.shift.run(tenure)
        except* DutyLost:
            self.wake()  # the round finds out what became of it

    def _sure(self) -> bool:
        return self._clock.monotonic() < self._state.sure_until


def _done(held: _Held) -> bool:
    return held.task is None or held.task.done()
