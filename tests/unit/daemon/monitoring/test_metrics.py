"""Metrics: what is counted, and under which names it is scraped."""

from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, cast

from secondunit.daemon.monitoring.metrics import Metrics
from secondunit.queue.model import Counts, Event, EventName, Status
from secondunit.queue.store import Store

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


class Counted:
    """As much of a store as a scrape asks."""

    def __init__(self, counts: Counts) -> None:
        self.now = counts

    async def counts(self) -> Counts:
        return self.now


NOTHING = Counts({}, {}, {}, None)


def event(name: EventName, status: Status, at: datetime = NOW, **more: Any) -> Event:
    return Event("job_a", "hls", name, at, status, **more)


def metrics(counts: Counts = NOTHING, clock: Ticks | None = None) -> Metrics:
    return Metrics(cast(Store, Counted(counts)), ["hls", "webp"], clock or Ticks())


async def scraped(of: Metrics) -> dict[str, float]:
    lines = (await of.render()).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


async def test_every_metric_has_our_prefix_and_idle_types_show_zero() -> None:
    values = await scraped(metrics())
    assert all(name.startswith("secondunit_") for name in values)
    assert values['secondunit_jobs_queued{type="webp"}'] == 0
    assert values["secondunit_queue_oldest_seconds"] == 0
    assert values["secondunit_process_open_fds"] > 0


async def test_the_queue_is_asked_at_each_scrape() -> None:
    store = Counted(Counts({"hls": 3}, {"hls": 1}, {}, NOW - timedelta(seconds=90)))
    subject = Metrics(cast(Store, store), ["hls"], Ticks())
    values = await scraped(subject)
    assert values['secondunit_jobs_queued{type="hls"}'] == 3 and values['secondunit_jobs_running{type="hls"}'] == 1
    assert values["secondunit_queue_oldest_seconds"] == 90
    store.now = NOTHING
    assert (await scraped(subject))['secondunit_jobs_queued{type="hls"}'] == 0


async def test_a_run_is_counted_with_the_time_it_waited_and_took() -> None:
    clock = Ticks()
    subject = metrics(clock=clock)
    subject([event("queued", Status.QUEUED)])
    await clock.sleep(3)
    subject([event("started", Status.RUNNING)])
    await clock.sleep(20)
    subject([event("retrying", Status.QUEUED, run_at=clock.time + timedelta(seconds=1))])
    await clock.sleep(5)
    subject([event("started", Status.RUNNING)])
    await clock.sleep(7)
    subject([event("completed", Status.COMPLETED)])
    values = await scraped(subject)
    assert values['secondunit_jobs_total{status="completed",type="hls"}'] == 1
    assert values['secondunit_job_wait_seconds_sum{type="hls"}'] == 3 + 4
    assert values['secondunit_job_duration_seconds_sum{type="hls"}'] == 20 + 7
    assert values['secondunit_job_duration_seconds_count{type="hls"}'] == 2


async def test_a_run_that_began_before_this_process_is_not_timed() -> None:
    subject = metrics()
    subject([event("failed", Status.FAILED)])
    values = await scraped(subject)
    assert values['secondunit_jobs_total{status="failed",type="hls"}'] == 1
    assert not any(name.startswith("secondunit_job_duration_seconds_count") for name in values)


async def test_reasons_come_and_go() -> None:
    subject = metrics()
    subject.degraded(["disk_low", "unknown_type"])
    subject.degraded(["unknown_type"])
    degraded = [name for name in await scraped(subject) if "degraded" in name]
    assert degraded == ['secondunit_degraded{reason="unknown_type"}']


async def test_the_share_of_places_found_is_of_those_asked_for() -> None:
    subject = metrics()
    assert isnan((await scraped(subject))["secondunit_geocode_success_ratio"])
    for outcome in ("found", "not_found", "found", "failed"):
        subject.observe_geocode(outcome)
    values = await scraped(subject)
    assert values["secondunit_geocode_success_ratio"] == 0.5
    assert values['secondunit_geocoded_total{outcome="found"}'] == 2


async def test_requests_deliveries_phases_and_lag_are_observed() -> None:
    subject = metrics()
    subject.observe_request("GET", "/api/jobs/{id}", 200, 0.02)
    subject.observe_delivery("callback", "delivered")
    subject.observe_phase("locations", "geocode", 2.0)
    subject.observe_lag(0.25)
    values = await scraped(subject)
    route = 'secondunit_http_request_duration_seconds_count{method="GET",route="/api/jobs/{id}",status="200"}'
    assert values[route] == 1
    assert values['secondunit_deliveries_total{kind="callback",outcome="delivered"}'] == 1
    assert values['secondunit_phase_duration_seconds_sum{phase="geocode",type="locations"}'] == 2
    assert values["secondunit_event_loop_lag_seconds"] == 0.25


async def test_polls_tokens_and_doubts_are_observed() -> None:
    of = metrics()
    of.observe_poll("ok")
    of.observe_backend_jobs("found", 3)
    of.observe_tokens("in", 700)
    of.observe_doubt()
    of.observe_doubt()
    values = await scraped(of)
    assert values['secondunit_poll_total{outcome="ok"}'] == 1
    assert values['secondunit_backend_jobs_total{what="found"}'] == 3
    assert values['secondunit_llm_tokens_total{direction="in"}'] == 700
    assert values["secondunit_llm_maybe_charged_total"] == 2
