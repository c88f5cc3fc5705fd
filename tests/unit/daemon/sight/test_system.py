"""What the daemon runs on: programs asked once, files measured, lag remembered for a minute."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from secondunit.daemon.process.lifecycle import LogLinesLost, LoopLagged
from secondunit.daemon.sight.loop_lag import A_MINUTE, LoopLag
from secondunit.daemon.sight.programs import KnownPrograms, Program
from secondunit.daemon.sight.system import DiskState, SystemReport
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.programs.ports import Finished, Programs
from secondunit.queue.outcome import Deterministic

ANSWERS = {
    "deno": ["deno 2.1.4 (stable, release, x86_64-unknown-linux-gnu)", "v8 13.0"],
    "systemd-analyze": ["  NAME DESCRIPTION", "→ Overall exposure level for secondunit.service: 1.9 OK :-)"],
}
CGROUP = "1:name=systemd:/other\n0::/system.slice/secondunit.service\n"


class FakePrograms:
    """Answers by a program's name, and counts who was asked; one without an answer can't be started."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def run(self, argv: Sequence[str], *, on_line: Any, **_: Any) -> Finished:
        name = Path(argv[0]).name
        self.asked.append(name)
        if name not in self.answers:
            raise Deterministic(f"there is no {name}", type="program_missing")
        for line in self.answers[name]:
            await on_line(line)
        return Finished(0, "")


def known(folder: Path, programs: FakePrograms, cgroup: str = CGROUP) -> KnownPrograms:
    """Of a machine on which these programs stand in a folder."""
    for name in ANSWERS:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    (folder / "cgroup").write_text(cgroup)
    engine, path = {"sqlite": "3.40.1"}, str(folder)
    return KnownPrograms(
        cast(Programs, programs), MediaMissing("none"), engine, "/nowhere/python", path, folder / "cgroup"
    )


async def test_programs_and_the_unit_are_asked_once(tmp_path: Path) -> None:
    programs = FakePrograms(ANSWERS)
    ask = known(tmp_path, programs)
    found, exposure = await ask()
    assert (found, exposure) == await ask()
    assert programs.asked == ["deno", "systemd-analyze"] and exposure == 1.9
    ffmpeg, ytdlp, deno, sqlite = found
    assert (ffmpeg, sqlite) == (Program("ffmpeg", None), Program("sqlite", "3.40.1"))
    assert (deno.version, deno.path) == ("2.1.4", str(tmp_path / "deno")) and deno.dated
    assert ytdlp.version and ytdlp.dated
    assert ytdlp.dated == datetime(*map(int, ytdlp.version.split(".")[:3]), tzinfo=UTC)  # type: ignore[misc, arg-type]


async def test_who_does_not_answer_is_not_known(tmp_path: Path) -> None:
    found, exposure = await known(tmp_path, FakePrograms({}))()
    assert exposure is None and [one.version for one in found if one.name == "deno"] == [None]
    odd = FakePrograms({"deno": ["Segmentation fault"], "systemd-analyze": ["Failed to get properties"]})
    found, exposure = await known(tmp_path, odd)()
    assert exposure is None and [one.version for one in found if one.name == "deno"] == [None]


async def test_outside_of_a_unit_systemd_is_not_asked(tmp_path: Path) -> None:
    programs = FakePrograms(ANSWERS)
    assert (await known(tmp_path, programs, "0::/user.slice/session-1.scope\n")())[1] is None
    assert programs.asked == ["deno"]


async def test_the_database_and_the_memory_are_measured(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    database.write_bytes(b"x" * 4096)
    lag = LoopLag()

    async def nothing() -> None:
        return None

    report = SystemReport(known(tmp_path, FakePrograms({})), lambda: [DiskState("data", 9)], database, nothing, lag, {})
    found = await report()
    assert (found.database, found.wal, found.backup, found.lag) == (4096, None, None, None)
    assert 0 < (found.memory or 0) <= (found.peak_memory or 0)
    database.with_name("queue.db-wal").write_bytes(b"x" * 10)
    assert (await report()).wal == 10
    database.unlink()
    assert (await report()).database is None


def test_a_minute_of_lag_is_remembered() -> None:
    lag = LoopLag()
    for fact in (LoopLagged(0.5), LogLinesLost(3), LoopLagged(0.1)):
        lag(fact)
    assert (lag.last, lag.largest) == (0.1, 0.5)
    for _ in range(A_MINUTE - 1):
        lag(LoopLagged(0.2))
    assert (lag.last, lag.largest) == (0.2, 0.2)
