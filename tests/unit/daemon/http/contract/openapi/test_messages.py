"""What the daemon sends of its own accord is what the document says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from secondunit.daemon.delivery.webhooks import JobEnded, callback_body
from secondunit.daemon.http.contract import responses, trailtag_responses
from secondunit.daemon.http.contract.openapi.messages import stream, webhooks
from secondunit.daemon.http.contract.openapi.schemas import answered
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.outcome import JobError

BROKEN = JobError("deterministic", "unreadable", "no video")


@pytest.mark.parametrize(
    ("status", "error", "duration"),
    [
        (Status.COMPLETED, None, timedelta(seconds=2)),
        (Status.FAILED, BROKEN, timedelta()),
        (Status.CANCELLED, None, None),
    ],
)
def test_a_callback_fits_the_schema_of_its_webhook(status: Status, error: JobError | None, duration: Any) -> None:
    target, at = Target("callback", "http://x/"), datetime(2030, 1, 1, tzinfo=UTC)
    notice = Notice(target, "job_a", "hls", status, 3, at, {"n": 1}, error, duration, source="api", labels={})
    schemas = answered([JobEnded])
    whole = {"$ref": "#/components/schemas/JobEnded", "components": {"schemas": schemas}}
    assert list(Draft202012Validator(whole).iter_errors(callback_body(notice))) == []
    content = webhooks()["jobEnded"]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": whole["$ref"]}


def test_a_stream_names_its_messages() -> None:
    content = stream("text/event-stream", {"message": responses.EVENT_MESSAGE})["text/event-stream"]
    assert content["x-events"] == {"message": {"$ref": "#/components/schemas/EventMessage"}}
    of_one_job = stream("text/event-stream", trailtag_responses.STREAM_MESSAGES)["text/event-stream"]
    assert "`partial_locations`" in of_one_job["schema"]["description"]
