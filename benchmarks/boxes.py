"""Three boxes on one PostgreSQL server, ours and other queues': jobs are submitted on each while they run on all."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

import psycopg
from beside import install
from server import serving

HERE = Path(__file__).parent
PYTHON_PEERS = HERE.parent / ".cache" / "peers-on-postgres"
BOXES, CALLERS, WORKERS = 3, 21, 10
WITHIN = 120
POLL = 0.02
PEERS = ("pgqueuer==1.6.0", "procrastinate==3.10.0", "asyncpg==0.32.0", "psycopg[binary]==3.3.9", "uvloop==0.23.0")


@dataclass(frozen=True, slots=True)
class System:
    """A queue: the command of one of its boxes, and the query that counts what has ended."""

    command: Sequence[object]
    ended: str
    path: Path = HERE


OURS = System([HERE / "box.py"], "select coalesce(sum(n), 0)::int from counts where status = 'completed'")
PGQUEUER = System(
    [HERE / "peers" / "on_postgres.py", "pgqueuer"],
    "select count(*)::int from pgqueuer_log where status = 'successful'",
    PYTHON_PEERS,
)
PROCRASTINATE = System(
    [HERE / "peers" / "on_postgres.py", "procrastinate"],
    "select count(*)::int from procrastinate_jobs where status = 'succeeded'",
    PYTHON_PEERS,
)


def end_to_end(folder: Path, system: System, n: int) -> Mapping[str, float]:
    """Jobs a second from the first submit to the last end, and the CPU of all boxes for each."""
    if system is not OURS:
        peers()
    with serving(folder / "postgres.log") as server, contextlib.ExitStack() as stack:
        url = server.url
        subprocess.run(_argv(system, "make", url, 0), env=_environment(system), check=True, timeout=WITHIN)
        boxes = [stack.enter_context(_box(system, url, n // BOXES)) for _ in range(BOXES)]
        for box in boxes:
            _heard(box)
        began = time.perf_counter()
        for box in boxes:
            _say(box)
        with psycopg.connect(url, autocommit=True) as watching:
            while _count(watching, system) < n // BOXES * BOXES:
                if time.perf_counter() > began + WITHIN:
                    raise RuntimeError(f"not all ended within {WITHIN:g} s: {_count(watching, system)} of {n}")
                time.sleep(POLL)
        wall = time.perf_counter() - began
        for box in boxes:
            _say(box)
        cpu = sum(float(_heard(box)) for box in boxes)
        return {"jobs/s": n / wall, "CPU us a job": cpu / n * 1e6}


ours = partial(end_to_end, system=OURS)
pgqueuer = partial(end_to_end, system=PGQUEUER)
procrastinate = partial(end_to_end, system=PROCRASTINATE)


def peers() -> None:
    """The other queues are there."""
    if not (PYTHON_PEERS / "procrastinate").exists():
        uv = HERE.parent / ".uv" / "bin" / "uv"
        install([uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", PYTHON_PEERS, *PEERS], {})


def _argv(system: System, what: str, url: str, n: int) -> list[str]:
    return [sys.executable, *map(str, [*system.command, what, url, n, CALLERS, WORKERS])]


def _environment(system: System) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(system.path)}


@contextlib.contextmanager
def _box(system: System, url: str, n: int) -> Iterator["subprocess.Popen[str]"]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    box = subprocess.Popen(_argv(system, "work", url, n), env=_environment(system), **pipes)  # type: ignore[call-overload]
    try:
        yield box
    finally:
        box.kill()
        box.wait()


def _heard(box: "subprocess.Popen[str]") -> str:
    line = cast("IO[str]", box.stdout).readline()
    if not line:
        raise RuntimeError(f"a box ended with {box.wait(10)}")
    return line


def _say(box: "subprocess.Popen[str]") -> None:
    told = cast("IO[str]", box.stdin)
    told.write("go\n")
    told.flush()


def _count(watching: "psycopg.Connection[tuple[int]]", system: System) -> int:
    [n] = watching.execute(system.ended).fetchone() or (0,)  # type: ignore[arg-type]
    return n
