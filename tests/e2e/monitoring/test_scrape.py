"""A live daemon's /metrics: every name of the contract, and no series for what strangers make up."""

from collections.abc import Iterator, Mapping

import pytest

from tests.e2e.conftest import Daemon
from tests.e2e.monitoring.promql import expressions, used
from tests.e2e.monitoring.scraping import hostile_daemon, scrape

pytestmark = pytest.mark.e2e

# Of the contract's list of names, as they are scraped.
CONTRACT: Mapping[str, frozenset[str]] = {
    "jobs_total": frozenset({"type", "status"}),
    "jobs_running": frozenset({"type"}),
    "jobs_queued": frozenset({"type"}),
    "queue_oldest_seconds": frozenset(),
    "job_duration_seconds_bucket": frozenset({"type", "le"}),
    "phase_duration_seconds_bucket": frozenset({"type", "phase", "le"}),
    "job_wait_seconds_bucket": frozenset({"type", "le"}),
    "geocode_success_ratio": frozenset(),
    "llm_tokens_total": frozenset({"direction"}),
    "llm_maybe_charged_total": frozenset(),
    "deliveries_total": frozenset({"kind", "outcome"}),
    "poll_total": frozenset({"outcome"}),
    "degraded": frozenset({"reason"}),
    "http_request_duration_seconds_bucket": frozenset({"method", "route", "status", "le"}),
    "event_loop_lag_seconds": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "types_paused": frozenset({"type"}),
    "job_slots": frozenset({"type"}),
    "delivery_lanes": frozenset({"state"}),
    "sandbox": frozenset({"layer"}),
    "backup_age_seconds": frozenset(),
    "backup_verified": frozenset(),
    "writer_queue_length": frozenset(),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with hostile_daemon(tmp_path_factory.mktemp("scrape")) as daemon:
        yield daemon


def submitted(daemon: Daemon, type: str, **more: object) -> str:
    answer = daemon.call("POST", "/api/jobs", {"type": type, "payload": {}, **more})
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


def test_every_name_of_the_contract_is_scraped_with_its_labels(daemon: Daemon) -> None:
    for job in (submitted(daemon, "sleep", callback="http://127.0.0.1:9/none"), submitted(daemon, "host.ile:Type-1")):
        daemon.until(job, "completed")
    found = scrape(daemon).labels()
    named = {name.removeprefix("secondunit_"): labels for name, labels in found.items()}
    assert {name: named.get(name) for name in CONTRACT} == CONTRACT


def test_each_metric_that_the_examples_name_is_scraped_with_the_labels_that_they_use(daemon: Daemon) -> None:
    daemon.until(submitted(daemon, "host.ile:Type-1"), "completed")
    scrape(daemon)
    live = scrape(daemon).labels()
    wrong = [
        (name, sorted(labels - live.get(name, frozenset())), expression)
        for expression, text in expressions()
        for name, labels in used(expression, text).items()
        if name not in live or labels - live[name]
    ]
    assert wrong == []


def test_what_strangers_make_up_makes_no_series(daemon: Daemon) -> None:
    def use(n: int) -> None:
        daemon.until(submitted(daemon, "host.ile:Type-1"), "completed")
        for path in (f"/api/jobs/job_{n}", f"/api/{n}", f"/{n}/x", f"/docs/{n}.js", f"/api/videos/{n}/locations"):
            daemon.call("GET", path, Authorization=f"Bearer su_{n}", X_API_Key=f"key{n}")
        daemon.call("POST", "/api/jobs", {"type": f"type{n}", "payload": {}})
        daemon.call("POST", f"/api/types/type{n}/pause")
        daemon.call(f"METHOD{n}", "/api/jobs")
        daemon.call("POST", "/analyze-from-url", {"video_url": f"no address {n}"})

    use(0)
    use(1)
    scrape(daemon)
    before = scrape(daemon).values
    for n in range(2, 12):
        use(n)
    after = scrape(daemon).values
    by_themselves = ("secondunit_http_connections{", "secondunit_degraded{")  # told now and then, whoever calls
    assert {series for series in after.keys() - before.keys() if not series.startswith(by_themselves)} == set()
    phases = [series for series in after if series.startswith("secondunit_phase_duration_seconds_count")]
    assert 0 < len(phases) < 20 and not any("of" in series.partition("phase=")[2] for series in phases)
