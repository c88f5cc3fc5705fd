import json
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from secondunit.daemon.delivery.policy import Delivered
from secondunit.daemon.delivery.webhooks import callback_body
from secondunit.queue.model import Status
from secondunit.queue.outcome import JobError
from secondunit.testing.jobs import NOW
from tests.unit.daemon.delivery.webhooks.receiver import SECRET, Receiver, delivery, notice, sending, sent_to, serving


def test_the_body_says_what_became_of_the_job() -> None:
    assert callback_body(notice("http://x/")) == {
        "jobId": "job_1",
        "type": "thumbnail",
        "status": "completed",
        "result": {"outputPath": "/media/ä.jpg"},
        "error": None,
        "duration": 1234,
    }


def test_the_body_of_a_failed_job_carries_its_error_and_a_job_that_never_ran_has_no_duration() -> None:
    error = JobError("deterministic", "source_missing", "no such file")
    body = callback_body(notice("http://x/", status=Status.FAILED, result=None, error=error, duration=None))
    assert body["error"] == {"class": "deterministic", "type": "source_missing", "message": "no such file"}
    assert body["result"] is None and body["duration"] is None
    assert callback_body(notice("http://x/", duration=timedelta()))["duration"] == 0


async def test_a_receiver_gets_the_body_with_the_headers_of_the_contract() -> None:
    receiver = Receiver(204)
    assert await sent_to(receiver.answer) == Delivered(204)
    [(headers, body)] = receiver.got
    assert receiver.paths == ["POST /hook"]
    assert json.loads(body) == callback_body(notice("http://x/"))
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == "job_1-1"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["Secondunit-Epoch"] == "7"
    assert headers["User-Agent"] == "secondunit/1"
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secret", [SECRET, "a passphrase of one's own ü"])
async def test_a_receiver_with_the_secret_can_verify_the_signature(secret: str) -> None:
    receiver = Receiver(200)
    await sent_to(receiver.answer, secret=secret)
    [(headers, body)] = receiver.got
    check = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    assert check.verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        check.verify(body.replace(b"completed", b"cancelled"), headers)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(b"another secret").verify(body, headers)
    again = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        check.verify(body, again)


@pytest.mark.parametrize("labels", [{}, {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}])
async def test_a_receiver_gets_the_submitters_trace_if_there_is_one(labels: dict[str, str]) -> None:
    receiver = Receiver(200)
    async with serving(receiver.answer) as url, sending() as sender:
        await sender.send(delivery(url, labels=labels))
    [(headers, _)] = receiver.got
    assert headers.get("traceparent") == labels.get("traceparent")
