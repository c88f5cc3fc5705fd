"""No family grows for ever, and what may come is counted from zero."""

from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.daemon.monitoring.prometheus.families import MOST_SERIES, PHASES_KEPT
from secondunit.queue.instrumentation import JobsMoved, PhaseEnded
from secondunit.queue.model import Counts, Event, Status
from tests.unit.daemon.monitoring.prometheus.subject import NOW, Subject


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
