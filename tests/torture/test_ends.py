"""The torture comes to an end, whatever becomes of the daemon; at night nobody is there to end it."""

import asyncio
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.torture import __main__ as torture
from tests.torture.victim import Victim


class Killed:
    """A daemon that a job takes down while the last calls are made, so often; and its only client."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.alive_now = True
        self.slowest_start = 0.0
        self.resumed = 0

    async def revive(self) -> None:
        self.alive_now = True

    async def resume_all(self) -> bool:
        if self.deaths:
            self.deaths -= 1
            self.alive_now = False
        self.resumed += self.alive_now
        return self.alive_now

    async def alive(self) -> int:
        return 0 if self.alive_now else 61

    async def pending(self) -> list[str]:
        return []


def cast(daemon: Killed) -> Any:
    return SimpleNamespace(
        victim=daemon, clients=daemon, readers=[], receiver=SimpleNamespace(healthy=asyncio.Event()), server=None
    )


@pytest.mark.parametrize("deaths", [0, 1, 3])
async def test_a_daemon_that_is_taken_down_while_types_are_resumed_is_started_again(deaths: int) -> None:
    daemon = Killed(deaths)
    async with asyncio.timeout(20):
        await torture._come_to_rest(cast(daemon))
    assert daemon.resumed == 1


async def test_one_that_never_answers_is_waited_for_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torture, "REST_WITHIN", 0.5)
    daemon = Killed(deaths=10**6)
    async with asyncio.timeout(20):
        await torture._come_to_rest(cast(daemon))
    assert not daemon.resumed


async def test_what_does_not_end_says_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    async def waits_for_what_never_comes() -> None:
        await asyncio.Event().wait()

    waiting = asyncio.create_task(waits_for_what_never_comes())
    with pytest.raises(TimeoutError):
        async with torture._in_time(0.1):
            await waiting
    assert "waits_for_what_never_comes" in capsys.readouterr().err


async def test_a_daemon_that_ends_of_itself_is_started_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = Victim(tmp_path, {}, "http://127.0.0.1:1", 2, own_clock=False)
    started: list[int] = []

    async def start(*, wait: bool = True) -> None:
        started.append(1)
        victim._process = SimpleNamespace(returncode=None, pid=0)  # type: ignore[assignment]

    monkeypatch.setattr(victim, "start", start)
    for code in (74, -signal.SIGKILL):
        victim._process = SimpleNamespace(returncode=code, pid=0)  # type: ignore[assignment]
        await victim.revive()
    assert len(started) == 2
    assert [code for _, code in victim.exits] == [74]
    assert victim.crashes == 1
