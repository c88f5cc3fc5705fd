"""Callbacks as the daemon signs them: who is believed, what is told twice, what is older than what came."""

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from secondunit.client.errors import WebhookRefused
from secondunit.client.webhooks import Receiver, verify
from secondunit.daemon.delivery.webhooks import signer

NOW = 1_800_000_000
SECRETS = ["whsec_c2VjcmV0IG9mIHRoZSByZWNlaXZlcg==", "any text, ü too"]


def sent(secret: str, id: str = "msg_1", at: int = NOW, epoch: int = 3, **content: Any) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"jobId": "job_a", "status": "completed", **content}, ensure_ascii=False)
    signs = signer(secret)
    assert signs is not None
    headers = {"Webhook-Id": id, "webhook-timestamp": str(at), "Secondunit-Epoch": str(epoch)}
    return {**headers, "webhook-signature": signs.sign(id, datetime.fromtimestamp(at, UTC), body)}, body.encode()


def by_anybody(body: bytes) -> str:
    """Signed with an empty key."""
    signed = f"msg_1.{NOW}.".encode() + body
    return base64.b64encode(hmac.digest(b"", signed, "sha256")).decode()


@pytest.mark.parametrize("secret", SECRETS)
def test_a_callback_is_believed_if_the_secret_signed_it(secret: str) -> None:
    headers, body = sent(secret, message="ü")
    callback = verify(headers, body, ["of old", secret], now=lambda: NOW + 299)
    assert (callback.id, callback.sent_at, callback.epoch, callback.about) == ("msg_1", NOW, 3, "job_a")


def test_what_must_not_be_believed_is_refused() -> None:
    headers, body = sent("right")
    faults: list[tuple[dict[str, str], bytes, str, int, str]] = [
        (headers, body, "wrong", NOW, "CALLBACK_SECRET"),
        (headers, body + b" ", "right", NOW, "CALLBACK_SECRET"),
        (headers | {"Webhook-Id": "msg_2"}, body, "right", NOW, "CALLBACK_SECRET"),
        (headers | {"webhook-timestamp": str(NOW + 1)}, body, "right", NOW, "CALLBACK_SECRET"),
        (headers | {"webhook-signature": "v1a," + headers["webhook-signature"][3:]}, body, "right", NOW, "CALLBACK"),
        ({}, body, "right", NOW, "missing"),
        (headers, body, "right", NOW + 301, "replayed"),
        (headers, body, "right", NOW - 301, "replayed"),
        (headers, body, "whsec_abc", NOW, "base64"),
        (headers | {"webhook-signature": "v1," + by_anybody(body)}, body, "", NOW, "the secret is empty"),
        (headers | {"webhook-signature": "v1," + by_anybody(body)}, body, "whsec_", NOW, "the secret is empty"),
        (headers | {"Secondunit-Epoch": ""}, body, "right", NOW, "Epoch"),
    ]
    for given, content, secret, now, told in faults:
        with pytest.raises(WebhookRefused, match=told):
            verify(given, content, secret, now=lambda now=now: now)  # type: ignore[misc]


def test_a_receiver_acts_once_and_never_on_an_older_run() -> None:
    receiver = Receiver("s", now=lambda: NOW)
    verdicts = [
        receiver.receive(*sent("s", id, epoch=epoch, jobId=job)).verdict
        for id, epoch, job in [("1", 3, "a"), ("1", 3, "a"), ("2", 2, "a"), ("3", 1, "b"), ("4", 4, "a"), ("2", 2, "a")]
    ]
    assert verdicts == ["new", "repeated", "outdated", "new", "new", "repeated"]


def test_what_could_not_be_acted_on_is_new_when_it_comes_again_unless_a_later_run_has_ended() -> None:
    receiver = Receiver("s", now=lambda: NOW)

    def came(id: str, epoch: int) -> str:
        return receiver.receive(*sent("s", id, epoch=epoch, jobId="a")).verdict

    assert came("1", 3) == "new"
    receiver.forget("1")
    assert [came("1", 3), came("1", 3), came("2", 4)] == ["new", "repeated", "new"]
    receiver.forget("1")
    assert came("1", 3) == "outdated"


def test_what_it_remembers_is_bounded() -> None:
    receiver = Receiver("s", now=lambda: NOW)
    for number in range(10_001):
        receiver.receive(*sent("s", str(number), jobId=str(number)))
    assert receiver.receive(*sent("s", "10000")).verdict == "repeated"
    assert receiver.receive(*sent("s", "0", jobId="0")).verdict == "new", "forgotten: it was the first of 10,001"
