"""A power cut at any moment: what was acknowledged is there, and the database is sound."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from secondunit.queue.durable_files import intact
from secondunit.queue.model import Filter, Status
from secondunit.queue.store import Step
from secondunit.queue.stores.sqlite.store import open_store
from tests.e2e.conftest import environment_of
from tests.e2e.faults.diligent import AT_ONCE, ROUNDS
from tests.e2e.faults.disk import Act, after_cut, record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="POWER LOSS IS NOT TESTED: no strace"),
    pytest.mark.timeout(110),
]
PROGRAM = Path(__file__).with_name("diligent.py")
CUTS = 200


def recorded(folder: Path, synchronous: str) -> list[Act]:
    """What a queue at work wrote; none of it before it was told that the store is open."""
    (folder / "disk").mkdir()
    database, notes = folder / "disk" / "queue.db", folder / "notes"
    argv = [sys.executable, "-P", str(PROGRAM), str(database), str(notes), synchronous]
    try:
        kept = [folder / "disk" / f"kept-job-{n}-{m}" for n in range(ROUNDS) for m in range(AT_ONCE)]
        return record(argv, database, notes, environment_of(folder / "disk"), kept)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"POWER LOSS IS NOT TESTED: strace is not allowed to trace here ({error})")


def cuts(acts: Sequence[Act], chance: Random) -> list[int]:
    """Moments after the store was open, all over the record; right after a promise as often as anywhere else."""
    first = next(n for n, act in enumerate(acts) if act.kind == "note")
    promises = [n + 1 for n in range(first, len(acts)) if acts[n].kind == "note"]
    anywhere = range(first + 1, len(acts) + 1)
    return sorted(chance.choices(promises, k=CUTS // 2) + chance.choices(anywhere, k=CUTS // 2))


def promised(acts: Sequence[Act]) -> dict[str, set[str]]:
    """What each job's submitter and worker had been told."""
    words: dict[str, set[str]] = {}
    for act in acts:
        if act.kind == "note" and act.data != b"open\n":
            what, job_id = act.data.decode().split()
            words.setdefault(job_id, set()).add(what)
    return words


def lay_out(folder: Path, files: Mapping[str, bytes]) -> None:
    """What is found when the power is back."""
    folder.mkdir()
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)


def whole(folder: Path, step: Step) -> bool:
    """Whether the file that a step points to is on the disk as it was when the step was stored."""
    marks = {str(folder / Path(path).name): mark for path, mark in (step.files or {}).items()}
    return intact([folder / Path(step.result).name], marks)


async def broken_promises(folder: Path, acts: Sequence[Act], chance: Random) -> list[str]:
    """Open what a cut after these acts leaves, as a daemon would; what is not as it was said to be."""
    lay_out(folder, after_cut(acts, chance))
    store = await open_store(folder / "queue.db")
    try:
        found = {job.id: job for job in (await store.find(Filter(), None, 1000)).jobs}
        broken = []
        for job_id, words in promised(acts).items():
            if job_id not in found:
                broken.append(f"{job_id} is gone")
            elif "completed" in words and found[job_id].status is not Status.COMPLETED:
                broken.append(f"{job_id} is {found[job_id].status} again")
        for job_id, job in found.items():
            step = await store.steps.get(job_id, "step")
            if "step" in promised(acts).get(job_id, ()) and not step:
                broken.append(f"the step of {job_id} is gone")
            if step and not await asyncio.to_thread(whole, folder, step):
                broken.append(f"the step of {job_id} points to a file that is not whole")
            if job.status.ended != bool(await store.outbox.of_job(job_id)):
                broken.append(f"{job_id} is {job.status} and has another delivery than that")
    finally:
        await store.close()
    with closing(sqlite3.connect(folder / "queue.db")) as db:
        broken += [verdict for (verdict,) in db.execute("pragma integrity_check") if verdict != "ok"]
    shutil.rmtree(folder)
    return broken


async def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    acts = recorded(tmp_path, "full")
    assert len(promised(acts)) == 96 and sum(act.kind == "cut" for act in acts) >= 2, "too little happened"
    chance = Random(3)
    for cut in cuts(acts, chance):
        broken = await broken_promises(tmp_path / "found", acts[:cut], chance)
        assert broken == [], f"power lost after act {cut} of {len(acts)}: {broken}"


@pytest.mark.long
@pytest.mark.timeout(600)  # some eighty starts, each with a database of its own
async def test_a_cut_in_the_very_first_start_leaves_what_the_next_start_finishes(tmp_path: Path) -> None:
    acts = recorded(tmp_path, "full")
    chance = Random(3)
    opened = next(n for n, act in enumerate(acts) if act.kind == "note")
    assert opened > 20, "too little happened"
    for cut in [*range(opened + 1)] * 2:
        assert await broken_promises(tmp_path / "found", acts[:cut], chance) == [], f"power lost after act {cut}"


async def test_without_full_synchronisation_the_loss_is_seen(tmp_path: Path) -> None:
    acts = recorded(tmp_path, "normal")
    chance, lost = Random(3), 0
    for cut in cuts(acts, chance)[:: CUTS // 20]:
        lost += any("gone" in word for word in await broken_promises(tmp_path / "found", acts[:cut], chance))
    assert lost > 0, "this test can't see a loss"
