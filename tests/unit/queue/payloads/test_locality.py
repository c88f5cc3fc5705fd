"""Where the inputs of jobs lie, and which box they are bound to by that."""

from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue import state
from secondunit.queue.handler import HandlerSpec, JobContext, input_paths
from secondunit.queue.model import Bonds, Job, Status, Submission
from secondunit.queue.outcome import Completed
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, TTL, by, new, settled, start
from secondunit.testing.rig import Rig

HERE = Locality("one", ["/srv/media/shared", "/mnt/nas"], alone=False)


class Paths(BaseModel):
    """Any fields that a type may have."""

    input_path: Any = None
    output_path: str = "/srv/media/out"
    n: int = 0


async def done(ctx: JobContext, payload: Paths) -> str:
    return ctx.job_id


def rig(locality: Locality = HERE) -> Rig:
    return Rig(HandlerSpec("hls", Paths, done, concurrency=9), locality=locality)


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/srv/media/film.mp4", True),
        ("/srv/media/shared/film.mp4", False),
        ("/srv//media/./shared/film.mp4", False),
        ("/srv/media/shared", False),
        ("/srv/media/shared-not/film.mp4", True),
        ("/mnt/nas/a/b", False),
        ("s3://bucket/mnt/nas", False),
        ("https://example.org/film.mp4", False),
    ],
)
def test_a_path_is_local_unless_it_lies_beneath_a_shared_root_by_its_name(path: str, local: bool) -> None:
    assert HERE.is_local(path) is local
    assert HERE.placed(Submission("hls", {}), [path]).box == ("one" if local else None)


def test_the_inputs_of_a_payload_are_its_absolute_paths_but_for_outputs() -> None:
    payload = {
        "inputPath": "/a", "more": [{"deep": "/b"}, 1, None], "outputDir": "/c", "output_path": "/d",
        "url": "https://x/y", "link": {"$from": "first", "path": "outputPath"}, "name": "e/f",
    }  # fmt: skip
    assert sorted(input_paths(payload)) == ["/a", "/b"]


async def test_a_job_with_a_local_input_is_bound_to_the_box_that_took_it() -> None:
    one = rig()
    asked = ["/srv/media/a", "/mnt/nas/a", "s3://b/a", "https://x/a"]
    jobs = [(await one.queue.submit(Submission("hls", {"input_path": path})))[0] for path in asked]
    assert [job.box for job in jobs] == ["one", None, None, None]
    assert (await one.queue.submit(Submission("hls", {"output_path": "/srv/media/b"})))[0].box is None


async def test_a_box_runs_its_own_and_those_of_any_and_leaves_those_of_others_alone() -> None:
    one = rig()
    await one.store.add([new("theirs", box="two"), new("ours", box="one"), new("any")])
    async with one.working():
        await one.clock.settle()
        found = {id: (await one.job(id)).status for id in ("theirs", "ours", "any")}
    assert found == {"theirs": Status.QUEUED, "ours": Status.COMPLETED, "any": Status.COMPLETED}


async def test_where_no_other_box_has_the_queue_a_new_name_strands_no_job() -> None:
    one = rig(Locality("new-name"))
    await one.store.add([new("old", box="old-name")])
    async with one.working():
        await one.clock.settle()
        assert (await one.job("old")).status is Status.COMPLETED


async def test_a_suspect_of_another_box_is_tried_there_and_holds_up_nothing_here() -> None:
    one = rig()
    lease = await start(one.store, "theirs", box="two", boot="two/1")
    await one.store.change("theirs", by(state.bury, 1, False, NOW), lease=lease)
    await one.store.add([new("any")])
    async with one.working():
        await one.clock.settle()
        assert (await one.job("theirs")).status is Status.QUEUED
        assert (await one.job("any")).status is Status.COMPLETED


async def test_no_more_start_than_may_run_over_all_boxes_and_the_next_as_soon_as_one_ends_anywhere() -> None:
    one = rig(replace(HERE, overall={"hls": 1}))
    lease = await start(one.store, "elsewhere", boot="two/1")
    await one.store.add([new("next")])
    async with one.working():
        await one.clock.settle()
        assert (await one.job("next")).status is Status.QUEUED
        await one.store.change("elsewhere", settled(Completed(1)), lease=lease)
        await one.clock.settle()  # no time passes
        assert (await one.job("next")).status is Status.COMPLETED


async def test_a_suspect_starts_no_sooner_than_the_limit_over_all_boxes_lets_it() -> None:
    one = rig(replace(HERE, overall={"hls": 1}))
    lease = await start(one.store, "suspect", boot="one/0")
    await one.store.change("suspect", by(state.bury, 0, False, NOW), lease=lease)
    lease = await start(one.store, "elsewhere", boot="two/1")
    async with one.working():
        await one.clock.settle()
        assert (await one.job("suspect")).status is Status.QUEUED
        await one.store.change("elsewhere", settled(Completed(1)), lease=lease)
        await one.clock.settle()
        assert (await one.job("suspect")).status is Status.COMPLETED


def test_what_runs_is_of_this_box_by_its_lease() -> None:
    running = [state.start(new("a").job, boot, TTL, NOW).job for boot in ("one/1", "two/1", "remote - w", "x")]
    assert [HERE.holds(job) for job in running] == [True, False, True, True]
    assert all(Locality("one").holds(job) for job in running)


async def a_child(one: Rig, result: dict[str, str], parent_boot: str, payload: dict[str, Any], box: str | None) -> Job:
    """A job whose parent completed so, under this boot, once the worker of `one` has looked at it."""
    lease = await start(one.store, "parent", type="other", boot=parent_boot)
    await one.store.change("parent", settled(Completed(result)), lease=lease)
    await one.store.add([new("child", payload=payload, bonds=Bonds(["parent"]), box=box)])
    async with one.working():
        await one.clock.settle()
    return await one.job("child")


FROM_PARENT = {"input_path": {"$from": "parent", "path": "outputPath"}}


async def test_an_input_that_a_parent_made_lies_on_the_box_that_ran_the_parent() -> None:
    job = await a_child(rig(), {"outputPath": "/srv/media/a"}, "two/1", FROM_PARENT, None)
    assert (job.status, job.box, job.attempt, job.interruptions) == (Status.QUEUED, "two", 1, 1)
    [run] = job.runs
    assert (run.outcome, run.why) == (
        "interrupted", "its input is a local file of the box two, so it runs there",
    )  # fmt: skip


async def test_an_input_that_a_parent_made_here_keeps_the_job_here() -> None:
    job = await a_child(rig(), {"outputPath": "/srv/media/a"}, "one/0", FROM_PARENT, None)
    assert (job.status, job.box) == (Status.COMPLETED, "one")


async def test_a_path_that_was_given_lies_where_the_parent_wrote_it_or_the_folder_around_it() -> None:
    given = {"input_path": "/srv/media/a/film.m3u8"}
    job = await a_child(rig(), {"outputDir": "/srv/media/a"}, "two/1", given, "one")
    assert (job.status, job.box) == (Status.QUEUED, "two")
    job = await a_child(rig(), {"outputDir": "/srv/media/b"}, "two/1", given, "one")
    assert (job.status, job.box) == (Status.COMPLETED, "one"), "it is no work of the parent's"


@pytest.mark.parametrize("path", ["/srv/media/shared/a", "s3://bucket/a"])
async def test_an_input_that_every_box_has_is_read_on_any_whoever_made_it(path: str) -> None:
    job = await a_child(rig(), {"outputPath": path}, "two/1", FROM_PARENT, None)
    assert (job.status, job.box) == (Status.COMPLETED, None)


async def test_what_a_remote_worker_made_binds_nothing() -> None:
    boot = RemoteHolder("", "w").heard("two/1")
    job = await a_child(rig(), {"outputPath": "/srv/media/a"}, boot, FROM_PARENT, None)
    assert (job.status, job.box) == (Status.COMPLETED, None)


@pytest.mark.parametrize("box", ["one", "a/b:c", "s3", "/one"])
@pytest.mark.parametrize(
    ("path", "own"), [("/srv/media/film", True), ("/srv/media/shared/film", False), ("s3://bucket/film", False)]
)
def test_a_path_in_shared_records_tells_whose_it_is(box: str, path: str, own: bool) -> None:
    here, other = (Locality(name, HERE.shared, alone=False) for name in (box, "other"))
    assert here.own(here.recorded(path)) == path
    assert other.own(here.recorded(path)) == (None if own else path)
    assert Locality("renamed").own(here.recorded(path)) == path, "where there is one box all is its own"
    assert Locality(box).recorded(path) == path
