"""Jobs that depend on others, run by a worker: the example of docs/batches.md, references, retries, secrets."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.handlers.deploy import DeployPayload
from secondunit.handlers.download import DownloadPayload
from secondunit.handlers.hls.handler import HlsPayload
from secondunit.handlers.thumbnail.payload import ThumbnailPayload
from secondunit.queue import state
from secondunit.queue.errors import BadDependencies, BadPayload, FieldError
from secondunit.queue.graph.binding import parents_first
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Bonds, Filter, Job, Status, Submission
from secondunit.queue.outcome import Deterministic
from secondunit.queue.payloads.secret_fields import strike
from secondunit.testing.jobs import NOW
from secondunit.testing.rig import Rig

DOCUMENT = Path(__file__).parents[4] / "docs" / "batches.md"


class Play:
    """Job types whose runs are written down, with what they found of their parents; some fail the first time."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Any, dict[str, Any]]] = []
        self.failing: set[str] = set()

    def spec(self, type: str, payload: type[BaseModel], result: Any = None, **fields: Any) -> HandlerSpec:
        async def run(ctx: JobContext, asked: Any) -> Any:
            self.ran.append((type, asked, dict(ctx.parents)))
            if type in self.failing:
                raise Deterministic(f"no {type} today")
            return result

        return HandlerSpec(type, payload, run, **fields)


class Text(BaseModel):
    text: str = ""


def site(play: Play) -> Rig:
    return Rig(
        play.spec("download", DownloadPayload, {"outputPath": "/media/7.mp4"}),
        play.spec("hls", HlsPayload, {"masterPath": "/media/7/master.m3u8"}),
        play.spec("thumbnail", ThumbnailPayload, {"outputPath": "/media/7.jpg"}),
        play.spec("deploy", DeployPayload, {"url": "https://blog.example"}),
    )


async def film(rig: Rig) -> str:
    """The example of the document, submitted; its batch."""
    [example] = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    asked = json.loads(example)
    batch = rig.queue.new_batch(asked["name"], None, None)
    jobs = [
        Submission(
            job["type"], job["payload"], bonds=Bonds(job.get("dependsOn", ()), "fail", job.get("ref")), batch=batch.id
        )
        for job in asked["jobs"]
    ]
    await rig.queue.submit_all(jobs, batch=batch)
    return batch.id


async def statuses(rig: Rig, batch: str) -> dict[str, str]:
    page = await rig.queue.find(Filter(batch=batch))
    return {job.type: job.status.value for job in page.jobs}


async def test_the_example_of_the_document_runs_in_its_order() -> None:
    play = Play()
    rig = site(play)
    batch = await film(rig)
    async with rig.working():
        await rig.clock.settle()
    [(_, _, of_film), (_, stream, of_stream), (_, still, _), (last, _, of_deploy)] = play.ran
    assert (of_film, stream.input_path, still.video_path, last) == ({}, "/media/7.mp4", "/media/7.mp4", "deploy")
    assert of_stream["film"] == {"outputPath": "/media/7.mp4"}
    assert {name for name in of_deploy if not name.startswith("job_")} == {"stream", "still"}
    assert await statuses(rig, batch) == dict.fromkeys(("download", "hls", "thumbnail", "deploy"), "completed")
    assert (await rig.store.graph.batch(batch)).finished_at == rig.clock.now()


async def test_a_batch_is_retried_from_where_it_failed() -> None:
    play = Play()
    play.failing.add("hls")
    rig = site(play)
    batch = await film(rig)
    async with rig.working():
        await rig.clock.settle()
        assert await statuses(rig, batch) == {
            "download": "completed", "hls": "failed", "thumbnail": "completed", "deploy": "failed",
        }  # fmt: skip
        play.failing.clear()
        play.ran.clear()
        moved = await rig.queue.retry_batch(batch)
        assert (len(moved.done), moved.refused) == (2, [])
        await rig.clock.settle()
    assert [type for type, _, _ in play.ran] == ["hls", "deploy"]
    assert set((await statuses(rig, batch)).values()) == {"completed"}


async def test_what_a_reference_stands_for_is_judged_as_at_submit() -> None:
    play = Play()

    def check(payload: Any) -> None:
        if payload.text == "/etc/shadow":
            raise BadPayload(FieldError("text", "lies outside of MEDIA_ROOTS"))

    rig = Rig(play.spec("a", Text, {"text": "/etc/shadow", "n": 3}), play.spec("b", Text, check=check))
    a, _ = await rig.queue.submit(Submission("a", {}))
    texts: dict[str, Any] = {"outside": {"$from": a.id, "path": "text"}, "wrong": {"$from": a.id, "path": "n"}}
    texts["nothing"] = {"$from": a.id, "path": "x"}
    jobs = {name: (await rig.queue.submit(Submission("b", {"text": text})))[0] for name, text in texts.items()}
    assert {next(iter(job.depends_on)) for job in jobs.values()} == {a.id}, "what is referred to is depended on"
    async with rig.working():
        await rig.clock.settle()
    errors = {name: (await rig.job(job.id)).error for name, job in jobs.items()}
    assert {name: error and error.type for name, error in errors.items()} == {
        "outside": "bad_payload", "wrong": "bad_payload", "nothing": "no_such_result",
    }  # fmt: skip
    assert errors["outside"] and "payload.text: lies outside of MEDIA_ROOTS" in errors["outside"].message
    assert (await rig.job(jobs["outside"].id)).payload == {"text": texts["outside"]}


async def test_a_job_with_failed_parents_runs_if_it_is_to() -> None:
    play = Play()
    play.failing.add("a")
    rig = Rig(play.spec("a", Text), play.spec("b", Text))
    a, _ = await rig.queue.submit(Submission("a", {}))
    b, _ = await rig.queue.submit(Submission("b", {}, bonds=Bonds([a.id], "run")))
    async with rig.working():
        await rig.clock.settle()
    assert (await rig.job(b.id)).status is Status.COMPLETED
    assert play.ran[-1][2] == {a.id: None}


async def test_names_are_looked_for_among_what_the_caller_sees() -> None:
    rig = Rig(Play().spec("a", Text))
    mine, _ = await rig.queue.submit(Submission("a", {}, owner="me"))
    ask = Submission("a", {"text": {"$from": mine.id}}, bonds=Bonds([mine.id, "nobody"]))
    with pytest.raises(BadDependencies) as refused:
        await rig.queue.submit(ask, lambda job: job.owner == "you")
    assert [(fault.index, fault.place) for fault in refused.value.faults] == [
        (0, "dependsOn.0"), (0, "dependsOn.1"), (0, "payload.text"),
    ]  # fmt: skip


async def test_more_than_a_hundred_parents_are_refused() -> None:
    rig = Rig(Play().spec("a", Text))
    ids = [(await rig.queue.submit(Submission("a", {})))[0].id for _ in range(101)]
    with pytest.raises(BadDependencies, match="names 101 jobs"):
        await rig.queue.submit(Submission("a", {"text": {"$from": ids[100]}}, bonds=Bonds(ids[:100])))
    await rig.queue.submit(Submission("a", {"text": {"$from": ids[99]}}, bonds=Bonds(ids[:100])))


async def test_secrets_of_a_job_that_a_parents_failure_cancelled_are_kept_for_its_return() -> None:
    play = Play()
    play.failing.add("a")
    rig = Rig(play.spec("a", Text), play.spec("b", Text, secrets=("text",)))
    a, _ = await rig.queue.submit(Submission("a", {}))
    b, _ = await rig.queue.submit(Submission("b", {"text": "s"}, bonds=Bonds([a.id], "cancel")))
    async with rig.working():
        await rig.clock.settle()
        assert (await rig.job(b.id)).status is Status.CANCELLED
        play.failing.clear()
        await rig.queue.retry(a.id)
        await rig.clock.settle()
    assert play.ran[-1][1].text == "s"


async def test_a_job_that_comes_back_after_its_secrets_were_struck_out_says_so() -> None:
    play = Play()
    play.failing.add("a")
    rig = Rig(play.spec("a", Text), play.spec("b", Text, secrets=("text",)))
    a, _ = await rig.queue.submit(Submission("a", {}))
    b, _ = await rig.queue.submit(Submission("b", {"text": "s"}, bonds=Bonds([a.id], "cancel")))
    async with rig.working():
        await rig.clock.settle()
        await rig.store.change(b.id, lambda job: strike(job, ["text"]))
        play.failing.clear()
        await rig.queue.retry(a.id)
        await rig.clock.settle()
    error = (await rig.job(b.id)).error
    assert error and error.type == "bad_payload" and "text was struck out" in error.message


def test_parents_come_first() -> None:
    jobs = [_job("c", "b"), _job("b", "a"), _job("a", "elsewhere")]
    assert [job.id for job in parents_first(jobs)] == ["a", "b", "c"]


def _job(id: str, *parents: str) -> Job:
    return state.submit(Submission("a", {}, bonds=Bonds(parents)), id, NOW).job
