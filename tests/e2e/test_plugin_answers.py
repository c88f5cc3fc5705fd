"""A job type of one's own says on its spec what ours do: it has artefacts, a budget, and partial retries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secondunit.testing.fakes.gemini import StandIn
from tests.e2e.conftest import beside
from tests.e2e.oracle import Oracle

pytestmark = pytest.mark.e2e


@pytest.fixture
def oracle(start: Any, tmp_path: Path) -> Iterator[Oracle]:
    stand_in = StandIn()
    with beside(lambda stack: stack.enter_async_context(stand_in.serving())) as url:
        yield Oracle(start, tmp_path, stand_in, url)


def test_what_it_wrote_is_listed_and_served_under_the_name_it_says(oracle: Oracle) -> None:
    daemon = oracle.daemon(**oracle.key)
    job_id = oracle.ask(daemon, "What is it").body["jobId"]
    daemon.until(job_id, "partial")
    listed = daemon.call("GET", f"/api/jobs/{job_id}/artifacts").body["artifacts"]
    assert [row["name"] for row in listed if row["name"] != "job.log"] == ["answer.json"]
    assert daemon.call("GET", f"/api/jobs/{job_id}/artifacts/answer.json").body["name"] == "Stand-in soup"
    assert daemon.call("GET", f"/api/jobs/{job_id}/artifacts/answer.txt").status == 404


def test_without_a_key_it_is_refused_and_health_notes_it_as_no_fault(oracle: Oracle) -> None:
    daemon = oracle.daemon()
    refused = oracle.ask(daemon, "What is it")
    assert refused.status == 422 and "GEMINI_API_KEY" in refused.body["detail"]
    health = daemon.call("GET", "/health").body
    assert (health["status"], health["reasons"]) == ("ok", [])
    assert [note for note in health["notes"] if "oracle" in note and "GEMINI_API_KEY" in note]


def test_its_paid_steps_spend_the_days_budget_and_wait_for_the_next_day_when_it_is_used_up(oracle: Oracle) -> None:
    daemon = oracle.daemon(**oracle.key, GEMINI_DAILY_TOKENS="1000")
    daemon.until(oracle.ask(daemon, "What is it").body["jobId"], "partial")
    waiting = oracle.ask(daemon, "And what is that").body["jobId"]
    job = daemon.job(waiting)
    while job["runAt"] is None:
        job = daemon.until(waiting, "queued")
    assert "budget_used_up" in job["message"]
    assert job["attempt"] == 1 and {run["outcome"] for run in job["attempts"]} == {"postponed"}
    assert len(oracle.gemini.asked) == 1


@pytest.mark.parametrize(("question", "again"), [("What is missing?", True), ("Nothing is missing.", False)])
def test_what_it_missed_is_looked_for_again_if_it_says_so(oracle: Oracle, question: str, again: bool) -> None:
    daemon = oracle.daemon(**oracle.key)
    job_id = oracle.ask(daemon, question).body["jobId"]
    assert daemon.until(job_id, "partial")["missing"] == ["the rest"]
    daemon.process.kill()
    daemon.process.wait()
    oracle.pass_by(minutes=16)
    later = oracle.daemon(**oracle.key)
    if again:
        assert later.until(job_id, "completed")["missing"] is None
        assert len(oracle.gemini.asked) == 1, "the paid step's answer was stored"
    else:
        other = oracle.ask(later, "Is it").body["jobId"]
        later.until(other, "partial")
        assert later.job(job_id)["status"] == "partial"
