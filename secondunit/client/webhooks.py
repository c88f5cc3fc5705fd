"""Webhook receiver (Standard Webhooks): signature, replay window, repeats, and epochs older than one that came."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from secondunit.client.errors import WebhookRefused

TOLERANCE = 300.0
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Callback:
    """What the daemon told: `id` is the same each time it is sent, `epoch` grows with each run of the job."""

    id: str
    sent_at: int
    epoch: int
    content: dict[str, Any]

    @property
    def about(self) -> str:
        """The job or the batch that has ended."""
        return str(self.content.get("jobId") or self.content.get("batchId"))


@dataclass(frozen=True, slots=True)
class Received:
    """A callback, and what to do: act on a `new` one; a `repeated` or `outdated` one is answered with 2xx, no more."""

    callback: Callback
    verdict: Literal["new", "repeated", "outdated"]


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    *,
    now: Callable[[], float] = time.time,
    tolerance: float = TOLERANCE,
) -> Callback:
    """The callback, if one of these secrets signed it and it is not older than `tolerance` seconds; WebhookRefused.

    `body` is the request's, byte for byte. During a rotation give the old secret and the new one.
    """
    named = {name.lower(): value for name, value in headers.items()}
    id, at, signatures = (named.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not (id and at.isascii() and at.isdigit() and len(at) < 16):
        raise WebhookRefused("webhook-id or webhook-timestamp is missing: this is no callback of Second Unit")
    signed = f"{id}.{at}.".encode() + body
    given = [word.removeprefix("v1,").encode() for word in signatures.split(" ") if word.startswith("v1,")]
    secrets = [secret] if isinstance(secret, str) else secret
    if not any(hmac.compare_digest(_signature(key, signed), one) for key in secrets for one in given):
        raise WebhookRefused("webhook-signature was not made with CALLBACK_SECRET, or the body was changed")
    if abs(now() - int(at)) > tolerance:
        raise WebhookRefused(f"webhook-timestamp is more than {tolerance:g} s away: replayed, or a clock is wrong")
    try:
        content, epoch = json.loads(body), int(named.get("secondunit-epoch", ""))
    except ValueError:
        raise WebhookRefused("the body is no JSON, or Secondunit-Epoch is missing") from None
    return Callback(id, int(at), epoch, content)


class Receiver:
    """Takes callbacks and remembers the last 10,000; where several processes take them, keep ids in a database."""

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        now: Callable[[], float] = time.time,
        tolerance: float = TOLERANCE,
    ) -> None:
        self._secret = secret
        self._now = now
        self._tolerance = tolerance
        self._ids: OrderedDict[str, int] = OrderedDict()
        self._epochs: OrderedDict[str, int] = OrderedDict()

    def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """The callback and its verdict; WebhookRefused for what must not be believed."""
        callback = verify(headers, body, self._secret, now=self._now, tolerance=self._tolerance)
        if callback.id in self._ids:
            return Received(callback, "repeated")
        _remember(self._ids, callback.id, callback.epoch)
        if callback.epoch < self._epochs.get(callback.about, 0):
            return Received(callback, "outdated")
        _remember(self._epochs, callback.about, callback.epoch)
        return Received(callback, "new")

    def forget(self, id: str) -> None:
        """Acting on the callback of this id failed: answer 500, so that it comes again, and as a `new` one."""
        self._ids.pop(id, None)


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    except binascii.Error:
        raise WebhookRefused("the secret begins with whsec_ and what follows is no base64") from None
    if not key:
        raise WebhookRefused("the secret is empty, and anybody could sign with it; is CALLBACK_SECRET set here?")
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _remember(kept: OrderedDict[str, int], name: str, epoch: int) -> None:
    kept[name] = epoch
    kept.move_to_end(name)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
