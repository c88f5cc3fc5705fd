"""The trace of a request: its jobs keep it, and who measures the request is told which jobs it made."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from secondunit.daemon.monitoring.http_requests import RequestAnswered, RequestBroke

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDLE = {"type": "idle", "payload": {}}


def answered(harness: Any) -> RequestAnswered:
    found = [fact for fact in harness.metrics.facts if isinstance(fact, RequestAnswered)][-1]
    assert isinstance(found, RequestAnswered)
    return found


@pytest.mark.parametrize(("given", "kept"), [(GIVEN, {"traceparent": GIVEN}), ("nonsense", {}), (None, {})])
async def test_a_job_keeps_the_trace_that_it_was_submitted_with(harness: Any, given: str | None, kept: Any) -> None:
    headers = {} if given is None else {"traceparent": given}
    answer = await (await harness.raw("POST", "/api/jobs", IDLE, headers=headers)).json()
    job = await harness.store.get(answer["jobId"])
    assert job.labels == kept
    assert [one.id for one in answered(harness).jobs] == [job.id]


async def test_each_job_of_a_batch_keeps_it_and_a_job_that_was_there_already_belongs_to_no_other_request(
    harness: Any,
) -> None:
    headers = {"traceparent": GIVEN, "Idempotency-Key": "one"}
    answers = [
        await (await harness.raw("POST", "/api/jobs/batch", {"jobs": [IDLE, IDLE]}, headers=headers)).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1] and answered(harness).jobs == []
    for one in answers[0]["jobs"]:
        assert (await harness.store.get(one["jobId"])).labels == {"traceparent": GIVEN}


async def test_a_request_that_nobody_foresaw_the_end_of_is_told_with_its_error(harness: Any) -> None:
    with capture_logs():
        job = {"type": "clip", "payload": {"inputPath": "/exits"}}
        problem = await harness.call("POST", "/api/jobs", job, status=500)
    assert problem["type"] == "urn:secondunit:problem:type-broken"
    [fact] = [fact for fact in harness.metrics.facts if isinstance(fact, RequestBroke)]
    assert (fact.method, fact.route) == ("POST", "/api/jobs")
