"""Metrics: what is counted, and under which names it is scraped."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from secondunit.daemon.automation.polls import BackendJobs, Polled
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.files.backups import Copy
from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.daemon.monitoring.prometheus.exposition import Exposition, Standing
from secondunit.daemon.monitoring.prometheus.families import MOST_SERIES, PHASES_KEPT
from secondunit.daemon.monitoring.prometheus.metrics import WAITING_KEPT, Metrics
from secondunit.daemon.process.lifecycle import LogLinesLost, LoopLagged
from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.geocoding.client import PlaceSought
from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.instrumentation import Fact, JobsMoved, PhaseEnded, StepInDoubt
from secondunit.queue.model import Counts, Event, EventName, Notice, Status, Submission, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.store import Delivery, Store
from secondunit.queue.value import replace

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Ticks:
    """A clock whose time is set by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class FakeOutbox:
    """As much of an outbox as a scrape asks."""

    async def counts(self) -> Mapping[str, int]:
        return {"delivered": 9, "dead": 2}


class Counted:
    """As much of a store as a scrape asks."""

    def __init__(self, counts: Counts) -> None:
        self.now = counts
        self.broken = False
        self.engine, self.outbox = self, FakeOutbox()
        self.waiting = 3

    async def counts(self) -> Counts:
        if self.broken:
            raise StoreBroken("it is gone")
        return self.now

    async def limits(self) -> Mapping[str, int]:
        return {"webp": 7}

    async def paused(self) -> frozenset[str]:
        return frozenset({"webp"})


NOTHING = Counts({}, {}, {}, None)


class Subject:
    """Metrics, and the page on which they are scraped."""

    def __init__(self, counts: Counts = NOTHING, standing: Standing | None = None) -> None:
        self.clock, self.store = Ticks(), Counted(counts)
        self.hear = Metrics(self.clock, ["hls", "locations", "webp"])
        self._page = Exposition(
            self.hear, cast(Store, self.store), self.clock, standing or Standing(budget=self._budget)
        )
        self.budget: tuple[int, int] | None = None

    async def _budget(self) -> tuple[int, int] | None:
        return self.budget

    def moved(self, name: EventName, status: Status, **more: Any) -> None:
        self.hear(JobsMoved([Event("job_a", "hls", name, NOW, status, **more)]))

    async def scraped(self) -> dict[str, float]:
        lines = (await self._page.render()).decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def tried(kind: str, state: Literal["pending", "delivered", "dead"], status: Status = Status.COMPLETED) -> Fact:
    notice = Notice(Target(kind, "x"), "job_a", "hls", status, 1, NOW, None, None, None, "api", {})
    return DeliveryTried(Delivery("job_a-1", notice, state, 1, NOW, NOW))


async def test_every_metric_has_our_prefix_and_idle_types_show_zero() -> None:
    values = await Subject().scraped()
    assert all(name.startswith("secondunit_") for name in values)
    assert values['secondunit_jobs_queued{type="webp"}'] == 0
    assert values["secondunit_queue_oldest_seconds"] == 0
    assert values["secondunit_process_open_fds"] > 0


async def test_the_queue_is_asked_at_each_scrape() -> None:
    subject = Subject(Counts({"hls": 3}, {"hls": 1}, {}, NOW - timedelta(seconds=90)))
    values = await subject.scraped()
    assert values['secondunit_jobs_queued{type="hls"}'] == 3 and values['secondunit_jobs_running{type="hls"}'] == 1
    assert values["secondunit_queue_oldest_seconds"] == 90
    assert [values[f'secondunit_types_paused{{type="{type}"}}'] for type in ("hls", "webp")] == [0, 1]
    subject.store.now = NOTHING
    assert (await subject.scraped())['secondunit_jobs_queued{type="hls"}'] == 0


async def test_a_budget_shows_what_is_used_of_it_and_without_one_nothing_does() -> None:
    subject = Subject()
    assert not any("llm_budget" in name for name in await subject.scraped())
    subject.budget = (900, 1000)
    values = await subject.scraped()
    assert values['secondunit_llm_budget_tokens{state="used"}'] == 900
    assert values['secondunit_llm_budget_tokens{state="limit"}'] == 1000


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


async def test_a_queue_that_can_not_be_read_is_missing_and_the_rest_is_scraped() -> None:
    subject = Subject(Counts({"hls": 3}, {"hls": 1}, {}, NOW))
    await subject.scraped()
    subject.hear(Polled("ok"))
    subject.store.broken = True
    values = await subject.scraped()
    assert values['secondunit_poll_total{outcome="ok"}'] == 1 and isnan(values["secondunit_queue_oldest_seconds"])
    assert not any(name.startswith(("secondunit_jobs_queued", "secondunit_jobs_running")) for name in values)


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


async def test_what_stands_around_the_queue_is_asked_at_each_scrape() -> None:
    subject = Subject()
    values = await subject.scraped()
    assert values['secondunit_deliveries_undelivered{state="dead"}'] == 2
    assert values['secondunit_deliveries_undelivered{state="pending"}'] == 0
    assert values["secondunit_writer_queue_length"] == 3
    assert isnan(values["secondunit_backup_age_seconds"]) and isnan(
        values["secondunit_poll_last_success_timestamp_seconds"]
    )


async def test_a_standing_daemon_shows_its_slots_disks_lanes_sandbox_backup_and_last_poll() -> None:
    polls: list[datetime | None] = [None, NOW]
    backups = [None, Copy(Path("/b/q.db"), NOW - timedelta(hours=2), NOW)]

    async def backup() -> Copy | None:
        return backups.pop(0)

    subject = Subject(
        standing=Standing(
            slots={"hls": 2, "webp": 3},
            info={"version": "1", "mode": "active"},
            sandbox={"landlock": True, "whole": False},
            disks=lambda: {"data": 5, "/media": 7},
            lanes=lambda: {"working": 2, "down": 1},
            polled=lambda: polls.pop(0),
            backup=backup,
        )
    )
    values = await subject.scraped()
    assert [values[f'secondunit_job_slots{{type="{type}"}}'] for type in ("hls", "webp")] == [2, 7]
    assert values['secondunit_info{mode="active",version="1"}'] == 1
    assert values['secondunit_sandbox{layer="landlock"}'] == 1 and values['secondunit_sandbox{layer="whole"}'] == 0
    assert values['secondunit_disk_free_bytes{disk="/media"}'] == 7
    assert values['secondunit_delivery_lanes{state="down"}'] == 1
    assert values["secondunit_poll_last_success_timestamp_seconds"] == 0
    assert isnan(values["secondunit_backup_age_seconds"]) and values["secondunit_backup_verified"] == 0
    values = await subject.scraped()
    assert values["secondunit_poll_last_success_timestamp_seconds"] == NOW.timestamp()
    assert values["secondunit_backup_age_seconds"] == 7200 and values["secondunit_backup_verified"] == 1


async def test_types_that_nothing_serves_are_one_series_however_many_there_are() -> None:
    subject = Subject(Counts({"hls": 1, **{f"gone{n}": 2 for n in range(50)}}, {}, {}, None))
    for n in range(50):
        subject.hear(JobsMoved([Event(f"job_{n}", f"gone{n}", "cancelled", NOW, Status.CANCELLED)]))
    values = await subject.scraped()
    assert values['secondunit_jobs_queued{type="other"}'] == 100
    assert values['secondunit_jobs_total{status="cancelled",type="other"}'] == 50
    assert not any("gone" in name for name in values)


async def test_a_type_that_names_phases_without_end_has_few_series() -> None:
    subject = Subject()
    for n in range(PHASES_KEPT + 50):
        subject.hear(PhaseEnded("hls", f"file {n}", 1.0))
    for name in ('a"} 1\nsecondunit_jobs_total{x="', "/srv/secret/film.mp4", "x" * 500):
        subject.hear(PhaseEnded("webp", name, 1.0))
        subject.hear(PhaseEnded(name, name, 1.0))
    phases = {
        n: v for n, v in (await subject.scraped()).items() if n.startswith("secondunit_phase_duration_seconds_count")
    }
    assert len(phases) == PHASES_KEPT + 3
    assert phases['secondunit_phase_duration_seconds_count{phase="other",type="hls"}'] == 50
    assert phases['secondunit_phase_duration_seconds_count{phase="other",type="webp"}'] == 3


async def test_no_family_grows_for_ever_whatever_its_labels_are() -> None:
    subject = Subject()
    for n in range(MOST_SERIES + 100):
        subject.hear(RequestAnswered(f"M{n}", "/", 200, 0.01))
    requests = [n for n in await subject.scraped() if n.startswith("secondunit_http_request_duration_seconds_count")]
    assert len(requests) == MOST_SERIES + 1
    assert 'secondunit_http_request_duration_seconds_count{method="other",route="other",status="other"}' in requests


async def test_what_may_come_is_counted_from_zero_so_that_a_rate_sees_the_first_one() -> None:
    subject = Subject()
    subject.hear.serve(["hls"])
    values = await subject.scraped()
    assert values['secondunit_jobs_total{status="failed",type="hls"}'] == 0
    assert values['secondunit_job_failures_total{class="timeout",type="hls"}'] == 0
    assert values['secondunit_deliveries_total{kind="backend",outcome="dead"}'] == 0
    assert values['secondunit_llm_tokens_total{direction="in"}'] == values["secondunit_llm_maybe_charged_total"] == 0
    assert values['secondunit_poll_total{outcome="refused"}'] == 0
