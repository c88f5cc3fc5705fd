"""The daemon's clock: steady, and set only where it is told to follow."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from secondunit.daemon.process.clock import JUST_TICKED, SET_NOT_DRIFTED, SystemClock, tick


class Machine:
    """The system's two clocks, as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.since_boot = 1_893_456_000.0, 5000.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.since_boot)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_it_tells_the_time_in_utc_and_goes_on_with_the_machine(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC and clock.now().timestamp() == machine.wall
    before, began = clock.now(), clock.monotonic()
    machine.pass_by(7.5)
    assert clock.now() - before == timedelta(seconds=7.5) and clock.monotonic() - began == 7.5


@pytest.mark.parametrize("jump", [3600.0, -86_400.0])
def test_a_clock_that_was_set_does_not_jump_until_somebody_looks(machine: Machine, jump: float) -> None:
    clock = SystemClock()
    before = clock.now()
    machine.wall += jump
    assert clock.now() == before
    assert clock.was_set() == timedelta(seconds=jump)
    assert clock.now() - before == timedelta(seconds=jump)
    assert clock.was_set() == timedelta(0), "told once"


def test_slow_drift_is_nothing_until_it_is_much(machine: Machine) -> None:
    clock = SystemClock()
    for _ in range(10):
        machine.wall += SET_NOT_DRIFTED / 11
        assert clock.was_set() == timedelta(0)
    machine.wall += SET_NOT_DRIFTED / 11 * 2
    assert clock.was_set() > timedelta(seconds=SET_NOT_DRIFTED)
    assert clock.now().timestamp() == pytest.approx(machine.wall, abs=1e-5)


def test_how_far_the_system_s_clock_is_astray_is_known_of_one_that_follows(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.astray == timedelta(0)
    machine.wall += 5
    assert clock.astray == timedelta(0), "nobody said what is right"
    clock.follow(datetime.fromtimestamp(machine.wall - 3600, UTC))
    assert clock.astray == timedelta(hours=1)
    machine.pass_by(10)
    machine.wall -= 7200
    assert clock.astray == timedelta(hours=-1)


@pytest.mark.parametrize("begun", [5000.25, 5000.75, 5000.97, 5001.0])
async def test_those_that_only_look_now_and_then_wake_together(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, begun: float
) -> None:
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        woken.append(round(machine.since_boot + seconds, 3))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    machine.since_boot = begun
    for every in (1.0, 2.0, 10.0):
        await SystemClock().tick(every)
        assert woken[-1] % every == 0 and 0 < woken[-1] - begun <= every * (1 + JUST_TICKED)


async def test_a_timer_that_goes_off_early_does_not_tick_twice(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(seconds: float) -> None:
        machine.pass_by(seconds - 0.002)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    ticks = []
    for _ in range(3):
        assert await tick(1.0) == pytest.approx(-0.002)
        ticks.append(round(machine.since_boot))
    assert ticks == [5001, 5002, 5003]
