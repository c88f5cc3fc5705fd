"""Spans of jobs: how they hang together, through retries and restarts, and that none tells what nobody may know."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler

from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.daemon.telemetry.spans import GivenIds, Spans
from secondunit.daemon.trace_context import read
from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import Fact, PieceDone, RunEnded, RunReclaimed, piece
from secondunit.queue.model import Job, Notice, Status, Submission, Target
from secondunit.queue.outcome import Transient
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.running.leases import reclaim
from secondunit.queue.store import Delivery
from secondunit.queue.value import replace
from secondunit.testing.rig import Rig, spec

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LABELS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


class Traced:
    """A queue whose runs are followed, and the spans that come of it."""

    def __init__(self, run: Any, *, sampler: Sampler | None = None, **fields: Any) -> None:
        self.rig = Rig(spec("hls", run, **fields), traced=True)
        self.exporter, ids = InMemorySpanExporter(), GivenIds()
        provider = TracerProvider(id_generator=ids, sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(provider, ids, self.rig.clock)
        self.told = 0

    async def submitted(self, **fields: Any) -> Job:
        job, _ = await self.rig.queue.submit(Submission("hls", {}, **fields))
        if job.source == "api":
            self.spans(RequestAnswered("POST", "/api/jobs", 201, 0.25, [job]))
        return job

    def seen(self) -> Mapping[str, ReadableSpan]:
        """The spans, once the sink has heard all that was told so far; each has a name of its own."""
        for fact in self.rig.facts[self.told :]:
            self.spans(fact)
        self.told = len(self.rig.facts)
        spans = self.exporter.get_finished_spans()
        return {f"{span.name} {numbered(spans, span)}".strip(): span for span in spans}


def numbered(spans: Any, span: ReadableSpan) -> str:
    same = [one for one in spans if one.name == span.name]
    return str(same.index(span) + 1) if len(same) > 1 else ""


def trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def under(spans: Mapping[str, ReadableSpan]) -> Mapping[str, str]:
    """The name of each span's parent; the id of one that is none of these."""
    names = {}
    for name, span in spans.items():
        context = span.get_span_context()
        assert context is not None
        names[context.span_id] = name
    assert len(names) == len(spans), "an id stands for two spans"
    return {
        name: names.get(span.parent.span_id, f"{span.parent.span_id:016x}") if span.parent else ""
        for name, span in spans.items()
    }


async def film(ctx: JobContext, payload: Any) -> str:
    async def encode() -> str:
        with piece("program", "ffmpeg", profile="decoder") as told:
            told["exit_code"] = 0
        return "done"

    async with ctx.phase("encode", 1.0):
        await ctx.step("720p", encode)
        with piece("call", "gemini", model="flash"):
            pass
    return "ok"


async def test_all_that_a_job_came_through_hangs_together_below_its_submitters_span() -> None:
    traced = Traced(film)
    job = await traced.submitted(labels=LABELS)
    async with traced.rig.working():
        assert (await traced.rig.job(job.id)).status is Status.COMPLETED
    spans = traced.seen()
    assert under(spans) == {
        "submit hls": CALLER,
        "wait": "submit hls",
        "run hls": "submit hls",
        "phase encode": "run hls",
        "step 720p": "phase encode",
        "program ffmpeg": "step 720p",
        "call gemini": "phase encode",
    }
    assert {trace_of(span) for span in spans.values()} == {TRACE}
    program = spans["program ffmpeg"].attributes
    assert program == {
        "secondunit.job.id": job.id,
        "secondunit.program.profile": "decoder",
        "secondunit.program.exit_code": 0,
    }
    submit = spans["submit hls"]
    assert submit.end_time and submit.start_time and submit.end_time - submit.start_time == 250_000_000


async def test_a_job_without_a_callers_trace_has_one_of_its_own_and_each_job_another() -> None:
    traced = Traced(film)
    jobs = [await traced.submitted() for _ in range(2)]
    spans = traced.seen()
    assert under(spans) == {"submit hls 1": "", "submit hls 2": ""}
    assert len({trace_of(span) for span in spans.values()}) == len(jobs)


async def test_each_run_has_its_wait_and_a_failed_one_says_by_which_error() -> None:
    async def fails(ctx: JobContext, payload: Any) -> None:
        raise Transient("with https://host/?key=hunter2", type="no_answer")

    traced = Traced(fails, retry=RetryPolicy(1, "fixed", timedelta(seconds=5)))
    job = await traced.submitted(labels=LABELS)
    async with traced.rig.working():
        await traced.rig.clock.advance(5)
        assert (await traced.rig.job(job.id)).status is Status.FAILED
    spans = traced.seen()
    assert [name for name in spans if "run" in name or "wait" in name] == ["wait 1", "run hls 1", "wait 2", "run hls 2"]
    for name in ("run hls 1", "run hls 2"):
        attributes = spans[name].attributes
        assert attributes and attributes["error.type"] == "no_answer" and not spans[name].status.is_ok
    second = spans["wait 2"]
    assert second.end_time and second.start_time and second.end_time - second.start_time == 5_000_000_000
    assert "hunter2" not in str([span.to_json() for span in spans.values()])


async def test_a_run_whose_daemon_died_is_told_by_the_next_one_in_the_same_trace() -> None:
    traced = Traced(film)
    job = await traced.submitted(labels=LABELS)
    rig = traced.rig
    [claimed] = await rig.store.claim({"hls": 1}, 1, "an earlier boot", timedelta(seconds=30), rig.clock.now())
    traced.spans(PieceDone(claimed, "step", "720p", 1.0, 1, 0, None, {}))
    await rig.clock.advance(60)
    await reclaim(rig.store, rig.clock, "boot", rig.facts.append, rig.registry.secrets_of)
    assert any(isinstance(fact, RunReclaimed) for fact in rig.facts)
    spans = traced.seen()
    assert under(spans) == {"submit hls": CALLER, "step 720p": "run hls", "wait": "submit hls", "run hls": "submit hls"}
    async with rig.working():
        assert (await rig.job(job.id)).status is Status.COMPLETED
    again = under(traced.seen())
    assert again["run hls 2"] == "submit hls" and again["step 720p 2"] == "phase encode"


async def test_a_lost_lease_is_told_though_nothing_was_settled() -> None:
    traced = Traced(film)
    job = await traced.submitted()
    [claimed] = await traced.rig.store.claim({"hls": 1}, 1, "boot", timedelta(seconds=30), traced.rig.clock.now())
    await traced.rig.clock.advance(3)
    traced.spans(RunEnded(claimed, None))
    attributes = traced.seen()["run hls"].attributes
    assert attributes and attributes["secondunit.run.outcome"] == "lease lost" and job.id == claimed.id


async def test_a_job_that_no_request_made_has_its_root_from_its_first_run() -> None:
    traced = Traced(film)
    job = await traced.submitted(source="backend")
    async with traced.rig.working():
        assert (await traced.rig.job(job.id)).status is Status.COMPLETED
    assert under(traced.seen())["submit hls"] == ""


def delivery(attempts: int, **fields: Any) -> Delivery:
    at = Rig().clock.now()
    notice = Notice(
        Target("callback", "http://x/?t=hunter2"),
        "job_1",
        "hls",
        Status.COMPLETED,
        1,
        at,
        None,
        None,
        None,
        "api",
        LABELS,
    )
    return replace(Delivery("job_1-1", notice, "pending", attempts, at, at), **fields)


async def test_a_try_of_a_delivery_is_a_span_and_its_id_is_what_the_receiver_was_told() -> None:
    traced = Traced(film)
    sent = read([traced.spans.sent_on(delivery(0))])
    traced.spans(DeliveryTried(delivery(1, last_status=503), 0.5))
    traced.spans(DeliveryTried(delivery(2, state="delivered", last_status=200), 0.5))
    traced.spans(DeliveryTried(delivery(2, state="dead")))  # given up without a try
    first, second = traced.exporter.get_finished_spans()
    context = first.get_span_context()
    assert sent and context and (sent.trace, sent.span, sent.sampled) == (int(TRACE, 16), context.span_id, True)
    assert first.attributes and first.attributes["error.type"] == "503" and second.status.is_ok is True
    assert "hunter2" not in first.to_json()


async def test_what_the_caller_or_the_sampler_leaves_out_is_not_recorded_and_sent_on_as_such() -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    traced = Traced(film)
    job = await traced.submitted(labels=unsampled)
    never = Traced(film, sampler=ParentBased(ALWAYS_OFF))
    await never.submitted()
    async with traced.rig.working():
        assert (await traced.rig.job(job.id)).status is Status.COMPLETED
    assert not traced.seen() and not never.seen()
    sent = delivery(0)
    assert traced.spans.sent_on(replace(sent, notice=replace(sent.notice, labels=unsampled))).endswith("-00")
    assert never.spans.sent_on(replace(sent, notice=replace(sent.notice, labels={}))).endswith("-00")


@pytest.mark.parametrize("traced", [False, True])
async def test_pieces_are_told_only_of_runs_that_are_followed(traced: bool) -> None:
    rig = Rig(spec("hls", film), traced=traced)
    job, _ = await rig.queue.submit(Submission("hls", {}))
    async with rig.working():
        assert (await rig.job(job.id)).status is Status.COMPLETED
    told: list[Fact] = [fact for fact in rig.facts if isinstance(fact, PieceDone | RunEnded)]
    assert len(told) == (5 if traced else 0)
