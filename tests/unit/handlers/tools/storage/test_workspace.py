"""Scratch folders live exactly as long as what they belong to, and are for us alone."""

from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.model import Job
from secondunit.queue.value import replace
from secondunit.testing.jobs import new

JOB = replace(new("job_1").job, epoch=3)
OTHER = replace(new("job_2").job, epoch=1)


@pytest.fixture
def folders(tmp_path: Path) -> WorkFolders:
    return WorkFolders(tmp_path / "data")


def tree(tmp_path: Path) -> list[str]:
    work = tmp_path / "data" / "work"
    return sorted(str(path.relative_to(work)) for path in work.rglob("*"))


async def worked(folders: WorkFolders, job: Job) -> None:
    """A run that left something everywhere."""
    space = await folders.open(job)
    (space.run / "scratch").write_text("")
    (space.kept / "video.part").write_text("")
    space.log.write_text("$ ffmpeg\n")


async def test_a_run_gets_private_folders_and_the_next_run_finds_what_was_kept(
    folders: WorkFolders, tmp_path: Path
) -> None:
    first = await folders.open(JOB)
    (first.kept / "video.part").write_text("half")
    second = await folders.open(replace(JOB, epoch=4))

    assert first.run != second.run
    assert (second.kept / "video.part").read_text() == "half"
    made = [tmp_path / "data" / "work", first.run.parent, first.run, first.kept]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 4


async def test_opening_again_changes_nothing(folders: WorkFolders) -> None:
    await worked(folders, JOB)
    assert ((await folders.open(JOB)).run / "scratch").exists()


async def test_the_end_of_a_lease_drops_the_run(folders: WorkFolders, tmp_path: Path) -> None:
    await worked(folders, JOB)
    await folders.close(JOB, ended=False)

    assert tree(tmp_path) == ["job_1", "job_1/kept", "job_1/kept/video.part", "job_1/log"]


async def test_the_end_of_the_job_leaves_the_log(folders: WorkFolders, tmp_path: Path) -> None:
    await worked(folders, JOB)
    await folders.close(JOB, ended=True)
    await folders.close(JOB, ended=True)

    assert tree(tmp_path) == ["job_1", "job_1/log"]


async def test_a_forgotten_job_leaves_nothing(folders: WorkFolders, tmp_path: Path) -> None:
    await worked(folders, JOB)
    await worked(folders, OTHER)
    await folders.forget(["job_1", "job_never_run"])

    assert await folders.present() == ["job_2"]


async def test_the_sweep_drops_all_runs_and_what_is_kept_of_ended_jobs(folders: WorkFolders, tmp_path: Path) -> None:
    await worked(folders, JOB)
    await worked(folders, OTHER)
    await folders.open(replace(new("job_3").job, epoch=1))
    await folders.sweep({"job_1"})

    assert tree(tmp_path) == ["job_1", "job_1/kept", "job_1/kept/video.part", "job_1/log", "job_2", "job_2/log"]


async def test_the_sweep_does_without_a_folder(folders: WorkFolders) -> None:
    await folders.sweep(())
    assert list(await folders.present()) == []


async def test_a_run_that_asks_for_no_folder_leaves_none(folders: WorkFolders, tmp_path: Path) -> None:
    await folders.open(OTHER)
    await folders.close(OTHER, ended=True)
    assert not (tmp_path / "data" / "work").exists()


async def test_an_end_drops_what_an_earlier_run_kept_even_if_the_last_one_asked_for_nothing(
    folders: WorkFolders, tmp_path: Path
) -> None:
    await worked(folders, JOB)
    await folders.close(JOB, ended=False)
    again = replace(JOB, epoch=4)
    await folders.open(again)
    await folders.close(again, ended=True)
    assert tree(tmp_path) == ["job_1", "job_1/log"]
