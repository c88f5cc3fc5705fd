from datetime import timedelta
from math import isnan
from typing import Literal

import pytest

from secondunit.daemon.automation.polls import BackendJobs, Polled
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.daemon.monitoring.prometheus.metrics import WAITING_KEPT
from secondunit.daemon.process.lifecycle import LogLinesLost, LoopLagged
from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.geocoding.client import PlaceSought
from secondunit.queue import state
from secondunit.queue.instrumentation import Fact, JobsMoved, PhaseEnded, StepInDoubt
from secondunit.queue.model import Event, Notice, Status, Submission, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.store import Delivery
from secondunit.queue.value import replace
from tests.unit.daemon.monitoring.prometheus.subject import NOW, Subject


def tried(kind: str, state: Literal["pending", "delivered", "dead"], status: Status = Status.COMPLETED) -> Fact:
    notice = Notice(Target(kind, "x"), "job_a", "hls", status, 1, NOW, None, None, None, "api", {})
    return DeliveryTried(Delivery("job_a-1", notice, state, 1, NOW, NOW))


async def test_every_metric_has_our_prefix_and_idle_types_show_zero() -> None:
    values = await Subject().scraped()
    assert all(name.startswith("secondunit_") for name in values)
    assert values['secondunit_jobs_queued{type="webp"}'] == 0
    assert values["secondunit_queue_oldest_seconds"] == 0
    assert values["secondunit_process_open_fds"] > 0


async def test_a_run_is_counted_with_the_time_it_waited_and_took() -> None:
    subject = Subject()
    subject.moved("queued", Status.QUEUED)
    await subject.clock.sleep(3)
    subject.moved("started", Status.RUNNING)
    await subject.clock.sleep(21)
    took = timedelta(seconds=20)  # as it was measured; when the news comes is another matter
    subject.moved("retrying", Status.QUEUED, run_at=subject.clock.time + timedelta(seconds=1), duration=took)
    await subject.clock.sleep(5)
    subject.moved("started", Status.RUNNING)
    await subject.clock.sleep(7)
    subject.moved("completed", Status.COMPLETED, duration=timedelta(seconds=7))
    values = await subject.scraped()
    assert values['secondunit_jobs_total{status="completed",type="hls"}'] == 1
    assert values['secondunit_job_wait_seconds_sum{type="hls"}'] == 3 + 4
    assert values['secondunit_job_duration_seconds_sum{type="hls"}'] == 20 + 7
    assert values['secondunit_job_duration_seconds_count{type="hls"}'] == 2


async def test_a_run_that_began_before_this_process_is_not_timed() -> None:
    subject = Subject()
    subject.moved("failed", Status.FAILED)
    values = await subject.scraped()
    assert values['secondunit_jobs_total{status="failed",type="hls"}'] == 1
    assert not any(name.startswith("secondunit_job_duration_seconds_count") for name in values)


async def test_reasons_come_and_go() -> None:
    subject = Subject()
    low, unknown = (Condition(word, "x", NOW, "y") for word in ("disk_low", "unknown_type"))
    subject.hear(ConditionsSeen([low, unknown]))
    subject.hear(ConditionsSeen([unknown]))
    degraded = [name for name in await subject.scraped() if "degraded" in name]
    assert degraded == ['secondunit_degraded{reason="unknown_type"}']


async def test_the_share_of_places_found_is_of_those_asked_for() -> None:
    subject = Subject()
    assert isnan((await subject.scraped())["secondunit_geocode_success_ratio"])
    outcomes: tuple[Literal["found", "not_found", "failed"], ...] = ("found", "not_found", "found", "failed")
    for outcome in outcomes:
        subject.hear(PlaceSought(outcome))
    values = await subject.scraped()
    assert values["secondunit_geocode_success_ratio"] == 0.5
    assert values['secondunit_geocoded_total{outcome="found"}'] == 2


async def test_requests_phases_lag_and_lost_lines_are_observed() -> None:
    subject = Subject()
    subject.hear(RequestAnswered("GET", "/api/jobs/{id}", 200, 0.02))
    subject.hear(PhaseEnded("locations", "geocode", 2.0))
    subject.hear(LoopLagged(0.25))
    assert (await subject.scraped())["secondunit_log_lines_lost_total"] == 0
    subject.hear(LogLinesLost(7))
    values = await subject.scraped()
    route = 'secondunit_http_request_duration_seconds_count{method="GET",route="/api/jobs/{id}",status="200"}'
    assert values[route] == 1
    assert values['secondunit_phase_duration_seconds_sum{phase="geocode",type="locations"}'] == 2
    assert values["secondunit_event_loop_lag_seconds"] == 0.25
    assert values["secondunit_log_lines_lost_total"] == 7


async def test_polls_and_deliveries_are_observed_and_only_a_result_counts_as_given_back() -> None:
    subject = Subject()
    subject.hear(Polled("ok"))
    subject.hear(BackendJobs("found", 3))
    subject.hear(tried("callback", "delivered"))
    subject.hear(tried("backend", "pending"))
    subject.hear(tried("backend", "delivered"))
    subject.hear(tried("backend", "delivered", Status.FAILED))
    subject.hear(tried("backend", "dead"))
    values = await subject.scraped()
    assert values['secondunit_poll_total{outcome="ok"}'] == 1
    assert values['secondunit_backend_jobs_total{what="found"}'] == 3
    assert values['secondunit_backend_jobs_total{what="delivered"}'] == 1
    deliveries = {name: n for name, n in values.items() if name.startswith("secondunit_deliveries_total")}
    assert deliveries == {
        'secondunit_deliveries_total{kind="callback",outcome="delivered"}': 1,
        'secondunit_deliveries_total{kind="backend",outcome="later"}': 1,
        'secondunit_deliveries_total{kind="backend",outcome="delivered"}': 2,
        'secondunit_deliveries_total{kind="backend",outcome="dead"}': 1,
    }


async def test_tokens_and_doubts_are_observed() -> None:
    subject = Subject()
    job = state.submit(Submission("analyze", {}), "job_a", NOW).job
    subject.hear(TokensUsed(Usage(prompt=700, output=20, thoughts=10, total=730), "gemini-2.5-flash"))
    subject.hear(TokensUsed(Usage(), "a model without a price"))
    subject.hear(StepInDoubt(job, "gemini", 1))
    subject.hear(StepInDoubt(job, "gemini", 2))
    values = await subject.scraped()
    assert values['secondunit_llm_tokens_total{direction="in"}'] == 700
    assert values['secondunit_llm_tokens_total{direction="out"}'] == 30
    assert values["secondunit_llm_maybe_charged_total"] == 2
    assert values["secondunit_llm_cost_usd_total"] == pytest.approx((700 * 0.30 + 30 * 2.50) / 1e6)


async def test_attempts_that_failed_are_counted_by_the_class_of_their_error() -> None:
    subject = Subject()
    error = JobError("timeout", "a word of the handler's own", "and a sentence")
    subject.moved("retrying", Status.QUEUED, error=error)
    subject.moved("failed", Status.FAILED, error=error)
    subject.moved("progress", Status.RUNNING, error=error)  # of the attempt before
    values = await subject.scraped()
    assert {n: v for n, v in values.items() if n.startswith("secondunit_job_failures_total")} == {
        'secondunit_job_failures_total{class="timeout",type="hls"}': 2
    }


async def test_of_a_crowd_those_are_measured_that_start_first() -> None:
    subject = Subject()
    queued = [Event(f"job_{n}", "hls", "queued", NOW, Status.QUEUED) for n in range(WAITING_KEPT + 10)]
    subject.hear(JobsMoved(queued))
    other = Event("job_x", "webp", "queued", NOW, Status.QUEUED)
    subject.hear(JobsMoved([other]))
    await subject.clock.sleep(5)
    for event in (queued[0], other):
        subject.hear(JobsMoved([replace(event, name="started")]))
    await subject.clock.sleep(100)
    subject.hear(JobsMoved([replace(queued[-1], name="started")]))
    values = await subject.scraped()
    assert values['secondunit_job_wait_seconds_sum{type="hls"}'] == 5
    assert values['secondunit_job_wait_seconds_sum{type="webp"}'] == 5  # one type's crowd takes no other's place
