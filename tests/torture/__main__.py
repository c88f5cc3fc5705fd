"""Torture a daemon for some minutes and judge what is left: `python -m tests.torture [--minutes N] [--seed N]`.

A daemon works while clients submit (one by one and in batches), cancel, retry, recover and pause, readers follow the
events, a receiver of callbacks fails at random, some jobs take the daemon down with them, and every few seconds the
daemon is killed, stopped or drained, its disk fills up, or its clock is set; with `--store postgres` the server is
killed and restarted, too, or loses its sessions. Then all of it is let come to rest, and the checker judges the
evidence. Ends with 1 if anything contradicts an invariant. The seed decides who does what and how long they wait, not
how the machine schedules it. One that does not end says where it stands, and ends with 1.
"""

import argparse
import asyncio
import faulthandler
import json
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import pytest

from tests.e2e.conftest import environment_of
from tests.ports import free_port
from tests.postgres_server import started
from tests.torture import scene
from tests.torture.checker import violations
from tests.torture.database_server import KINDS, TorturedServer
from tests.torture.evidence import Evidence
from tests.torture.kinds import dealt, undone
from tests.torture.load import Clients
from tests.torture.reader import Reader
from tests.torture.receiver import Receiver
from tests.torture.torturetypes import installed
from tests.torture.victim import DRAIN_SECONDS, LEASE_SECONDS, Victim, slowness

REST_WITHIN = 90.0
OVER_AFTER = 600.0  # seconds beyond those that were asked for: something waits for what never comes
USUAL_START = 3.0  # seconds; a machine that is slower is given more time, in proportion
SHOWN = 40


@dataclass
class Cast:
    """Everybody who takes part."""

    folder: Path
    victim: Victim
    clients: Clients
    receiver: Receiver
    readers: list[Reader]
    server: TorturedServer | None
    torn: set[str]
    done: Counter[str]

    @property
    def kinds(self) -> Sequence[str]:
        """What may be done, each as often as it is to come in turn."""
        return [*self.victim.kinds, *(KINDS if self.server else ())]


async def torture(folder: Path, seconds: float, seed: int, server: TorturedServer | None) -> Evidence:
    """All of it, in `folder`, the queue on this server if there is one; what it left behind."""
    receiver = Receiver(Random(f"receiver {seed}"))
    runner, callback = await receiver.start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "outputs").mkdir()
    slower = await asyncio.to_thread(slowness)
    lease = math.ceil(LEASE_SECONDS * slower)
    print(f"this machine is {slower:.1f} times slower than usual: leases of {lease} s")
    environment = environment_of(folder / "data", installed(folder / "plugins")) | {
        "PORT": str(port),
        "LEASE_SECONDS": str(lease),
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "MAX_CONCURRENT_JOBS": "10",
        "MEDIA_ROOTS": str(folder / "outputs"),
        "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
        **({"QUEUE_URL": server.url, "BOX": "tortured"} if server else {}),
    }
    cast = Cast(
        folder,
        Victim(folder, environment, url, lease, own_clock=server is None),
        Clients(url, callback, folder, Random(f"clients {seed}")),
        receiver,
        [Reader("of all", url), Reader("of steps", url, "steps")],
        server,
        set(),
        Counter(),
    )
    try:
        if server is None and not cast.victim.small_disk(folder / "data"):
            print("NOT DONE: full disks; only root can mount a small one")
        await cast.victim.start()
        await cast.clients.open()
        async with _in_time(seconds + OVER_AFTER * slower):
            await _play(cast, seconds, Random(f"fate {seed}"))
        felt = [*undone(cast.kinds, cast.done), *(server.unfelt(cast.done) if server else ())]
        return replace(_evidence(cast, lease), undone=felt)
    finally:
        await cast.victim.give_up()
        await cast.clients.close()
        await asyncio.to_thread(cast.victim.free_disk)
        await runner.cleanup()
        _report(cast)


async def _play(cast: Cast, seconds: float, fate: Random) -> None:
    readers = [asyncio.create_task(reader.run()) for reader in cast.readers]
    while any(reader.reading.start < 0 for reader in cast.readers):
        await _or_fail(asyncio.sleep(0.01), readers)
    watching = asyncio.create_task(_watch_outputs(cast))
    loads = [cast.clients.submit_for_ever() for _ in range(3)] + [cast.clients.meddle_for_ever() for _ in range(2)]
    tasks = [asyncio.create_task(load) for load in loads]
    kinds = dealt(cast.kinds, fate)
    try:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            pause = time.monotonic() + fate.uniform(0.5, 4)
            while time.monotonic() < pause:
                await _or_fail(asyncio.sleep(0.05), tasks)
                await cast.victim.revive()
            kind = next(kinds)
            if not cast.server or kind not in KINDS:
                await cast.victim.torment(kind, fate)
            elif not await cast.server.torment(kind, fate):
                continue
            cast.done[kind] += 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    await _come_to_rest(cast)
    for task in [watching, *readers]:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await cast.victim.end()


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """All of it within so many seconds; else it is printed where each task stands, and TimeoutError."""

    def show() -> None:
        for task in asyncio.all_tasks():
            task.print_stack(limit=5)

    alarm = asyncio.get_running_loop().call_later(seconds, show)
    try:
        async with asyncio.timeout(seconds + 1):
            yield
    finally:
        alarm.cancel()


async def _or_fail(pause: object, tasks: list[asyncio.Task[None]]) -> None:
    """Wait, unless a client has died of what it was answered."""
    waiting = asyncio.ensure_future(pause)  # type: ignore[call-overload]
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
    await waiting


async def _come_to_rest(cast: Cast) -> None:
    """Every job ends, every callback is taken, every reader has caught up; or the checker will tell."""
    cast.receiver.healthy.set()
    over = time.monotonic() + REST_WITHIN * max(1.0, cast.victim.slowest_start / USUAL_START)
    await cast.victim.revive()
    while not await cast.clients.resume_all() and time.monotonic() < over:
        await asyncio.sleep(0.2)
        await cast.victim.revive()
    while await cast.clients.alive() and time.monotonic() < over:
        await asyncio.sleep(0.2)
        await cast.victim.revive()
    while (pending := await cast.clients.pending()) and time.monotonic() < over:
        for delivery in pending:
            await cast.clients.send_again(delivery)
        await asyncio.sleep(1)
    heard = -1
    while heard != (heard := sum(len(reader.reading.seqs) for reader in cast.readers)):
        await asyncio.sleep(1)


async def _watch_outputs(cast: Cast) -> None:
    """Look at the output files all the time: one that can be seen is whole."""
    while True:
        for path in (cast.folder / "outputs").glob("*.bin"):
            if await asyncio.to_thread(scene.whole, path) is None:
                cast.torn.add(str(path))
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)


def _evidence(cast: Cast, lease: float) -> Evidence:
    clients, victim, folder = cast.clients, cast.victim, cast.folder
    server = cast.server
    database = server.holds() if server else scene.database(folder / "data" / "queue.db")
    return Evidence(
        acks=clients.acks,
        unanswered=frozenset(clients.unanswered),
        diary=scene.diary(folder / "diary.jsonl"),
        arrivals=cast.receiver.arrivals,
        readings=[reader.reading for reader in cast.readers],
        spans=[*victim.spans, *(server.spans if server else ()), *scene.lags(folder / "daemon.log", lease)],
        retried=dict(clients.retried),
        maybe_retried=dict(clients.maybe_retried),
        cancelled=clients.cancelled,
        alive=victim.alive,
        stray=scene.stray(folder / "outputs", folder / "data" / "work", database["jobs"]),
        torn=sorted(cast.torn),
        outputs=scene.outputs(folder / "outputs"),
        exits=victim.exits,
        clock_moves=victim.clock_moves,
        parents=scene.parents(database["jobs"]) | clients.parents,
        **database,
    )


def _report(cast: Cast) -> None:
    victim, clients = cast.victim, cast.clients
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(cast.done.items()))
    print(f"{sum(cast.done.values())} cycles: {kinds}; {victim.crashes} crashes by a job")
    print(
        f"{victim.starts} starts, the slowest {victim.slowest_start:.2f} s until it answered; "
        f"after an end its last child was gone within {victim.slowest_burial:.2f} s"
    )
    print(
        f"{len({ack.job for ack in clients.acks})} jobs acknowledged, {len(clients.parents)} of them behind others, "
        f"{len(clients.cancelled)} cancelled, "
        f"{sum(clients.retried.values())} retried; answers: {dict(sorted(clients.answered.items()))}"
    )
    print(
        f"{len(cast.receiver.arrivals)} callbacks arrived, {sum(a.answered == 204 for a in cast.receiver.arrivals)} "
        f"taken; readers got {[len(reader.reading.seqs) for reader in cast.readers]} events"
    )


def _server() -> TorturedServer | None:
    try:
        return TorturedServer(started())
    except pytest.skip.Exception:
        return None


def main() -> int:
    """Run as asked; 0 when nothing was found, else 1 and the evidence is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    arguments = parser.parse_args()
    server = _server() if arguments.store == "postgres" else None
    if arguments.store == "postgres" and server is None:
        print("NOT DONE: PostgreSQL; apt-get install postgresql")
        return 0
    faulthandler.dump_traceback_later(arguments.minutes * 60 + 2 * OVER_AFTER, exit=True)  # not even the loop turns
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"torture of {arguments.store} for {arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    evidence = asyncio.run(torture(folder, arguments.minutes * 60, arguments.seed, server))
    found = violations(evidence)
    outcomes = Counter(run["outcome"] for job in evidence.jobs for run in job["runs"])
    print(f"{len(evidence.jobs)} jobs ended, runs: {dict(sorted(outcomes.items()))}")
    if not found:
        shutil.rmtree(folder)
        print("no violation")
        return 0
    (folder / "evidence.json").write_text(json.dumps(asdict(evidence), default=sorted))
    for sentence in found[:SHOWN]:
        print(sentence)
    print(f"{len(found)} violations; log, database and evidence.json are kept in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
