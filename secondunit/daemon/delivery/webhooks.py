"""Webhook sender: POSTs a job's end to the URL that its submitter gave, signed as Standard Webhooks."""

import asyncio
import contextlib
import json
from datetime import datetime, timedelta
from typing import Any, Literal

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from msgspec import Struct, field
from standardwebhooks.webhooks import Webhook
from yarl import URL

from secondunit.daemon.delivery.policy import Delivered, Gone, Sent, TryLater
from secondunit.daemon.formats import milliseconds
from secondunit.daemon.trace_context import SentOn, passed_on
from secondunit.daemon.trace_context import headers as trace_headers
from secondunit.handlers.tools.http_statuses import MAY_NAME_A_WAIT
from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.handlers.tools.network.session import retry_after
from secondunit.queue.clock import Clock
from secondunit.queue.model import Notice
from secondunit.queue.store import Delivery

KIND = "callback"
BATCH = "batch"
GONE = 410  # Standard Webhooks: the endpoint is dead
TIMEOUT = timedelta(seconds=15)
READ_AT_MOST = 64 * 1024
READING = timedelta(seconds=2)


class EndedBy(Struct, forbid_unknown_fields=True):
    """Why a job failed; `type` is a stable word, `message` is for people."""

    kind: Literal["transient", "deterministic", "timeout", "cancelled"] = field(name="class")
    type: str
    message: str


class JobEnded(Struct, rename="camel", forbid_unknown_fields=True):
    """What a receiver is told of a job's end: `duration` in ms, that of its last run."""

    job_id: str
    type: str
    status: Literal["completed", "partial", "failed", "cancelled"]
    result: Any
    error: EndedBy | None
    duration: int | None


class BatchEnded(Struct, rename="camel", forbid_unknown_fields=True):
    """What a receiver is told of a batch's end: how many jobs ended how, and the ms since it was submitted."""

    batch_id: str
    status: Literal["completed", "partial", "failed"]
    by_status: dict[str, int]
    duration: int


class CallbackSender:
    """Counts a callback as delivered at a 2xx and tries for a day; 410 ends it, a redirect is a refusal like any other.

    `session` is a guarded one that does not decompress: what an answer says beyond its status is read and dropped.
    """

    lifetime = timedelta(days=1)

    def __init__(
        self,
        session: ClientSession,
        clock: Clock,
        signer: Webhook | None = None,
        timeout: timedelta = TIMEOUT,
        *,
        trace: SentOn = passed_on,
    ) -> None:
        self._trace = trace
        self._session = session
        self._clock = clock
        self._signer = signer
        self._timeout = ClientTimeout(total=timeout.total_seconds())

    def host(self, delivery: Delivery) -> str:
        """The URL's host and port."""
        try:
            return str(URL(delivery.notice.target.address).origin())
        except ValueError:
            return delivery.notice.target.address

    def tells(self, _: Delivery) -> bool:
        """Every end is told."""
        return True

    async def send(self, delivery: Delivery) -> Sent:
        """Try once; a refused address counts as not delivered yet, for the name or the setting may change."""
        notice = delivery.notice
        try:
            body = json.dumps(body_of(notice), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            content = body.encode()
        except (ValueError, TypeError) as error:
            return Gone(f"the result can't be written as JSON: {error}")
        headers = self._headers(delivery, body, self._clock.now())
        try:
            async with self._session.post(
                notice.target.address, data=content, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                await _drain(response)
                return _judge(response, self._clock.now())
        except TimeoutError:
            return TryLater(f"the receiver gave no answer within {self._timeout.total:g} s")
        except (ClientError, OSError, ValueError) as error:
            return TryLater(str(sentence_of(error)))

    def _headers(self, delivery: Delivery, body: str, now: datetime) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "Secondunit-Epoch": str(delivery.notice.epoch),
            **trace_headers(self._trace, delivery),
        }
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(delivery.id, now, body)
        return headers


def signer(secret: str | None) -> Webhook | None:
    """Signs with CALLBACK_SECRET: `whsec_...` is base64, anything else its UTF-8 bytes; None signs nothing."""
    if not secret:
        return None
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())


def body_of(notice: Notice) -> dict[str, Any]:
    """What the receiver is told, of a job or of a batch."""
    return batch_body(notice) if notice.target.kind == BATCH else callback_body(notice)


def batch_body(notice: Notice) -> dict[str, Any]:
    """What a receiver is told of a batch, as `BatchEnded` describes it."""
    return {
        "batchId": notice.result["batch"],
        "status": notice.status.value,
        "byStatus": notice.result["by_status"],
        "duration": milliseconds(notice.duration),
    }


def callback_body(notice: Notice) -> dict[str, Any]:
    """What a receiver is told, as `JobEnded` describes it; the result as it is, to be refused if it is no JSON."""
    error = notice.error
    return {
        "jobId": notice.job_id,
        "type": notice.job_type,
        "status": notice.status.value,
        "result": notice.result,
        "error": error and {"class": error.kind, "type": error.type, "message": error.message},
        "duration": milliseconds(notice.duration),
    }


def _judge(response: ClientResponse, now: datetime) -> Sent:
    status = response.status
    if 200 <= status < 300:
        return Delivered(status)
    if status == GONE:
        return Gone("the receiver answered 410: it wants no more of these", status)
    asked = retry_after(response, now) if status in MAY_NAME_A_WAIT else None
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    return TryLater(f"the receiver answered {status}{hint}", status, asked)


async def _drain(response: ClientResponse) -> None:
    """Read a short answer, so that its connection can be used again; drop the connection of a long or slow one."""
    read = 0
    with contextlib.suppress(ClientError, TimeoutError):
        async with asyncio.timeout(READING.total_seconds()):
            async for chunk in response.content.iter_chunked(8192):
                read += len(chunk)
                if read > READ_AT_MOST:
                    break
            else:
                return
    response.close()
