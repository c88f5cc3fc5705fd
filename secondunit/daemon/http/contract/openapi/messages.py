"""Messages of the daemon's own accord in the document: those of event streams, and the callback of a job's end."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from secondunit.daemon.delivery.webhooks import BatchEnded, JobEnded
from secondunit.daemon.http.contract.openapi.schemas import name_of, ref
from secondunit.daemon.http.transport.route import OneOf

HEADERS = {
    "webhook-id": ("the delivery's id, the same each time it is sent", True),
    "webhook-timestamp": ("when it was sent, in Unix seconds", True),
    "webhook-signature": ("as Standard Webhooks sign it; sent while CALLBACK_SECRET is set", False),
    "Secondunit-Epoch": (
        "grows with each run of the job: a message with a smaller one than a known one is older",
        True,
    ),
}
ENDED, BATCH_ENDED = "jobEnded", "batchEnded"
TAG = {"callbacks": "What the daemon calls."}
ABOUT = """Sent to its `callback` until it is answered with 2xx, for a day, with pauses of up to an hour.

Redirects are not followed."""
CALLBACKS = {
    "SubmitAsk": {ENDED: {"{$request.body#/callback}": {"$ref": f"#/webhooks/{ENDED}"}}},
    "BatchAsk": {BATCH_ENDED: {"{$request.body#/callback}": {"$ref": f"#/webhooks/{BATCH_ENDED}"}}},
}


def webhooks() -> Mapping[str, Any]:
    """The calls that the daemon makes to a `callback`."""
    return {
        ENDED: {"post": _ended("callbacks.job_ended", "A job has ended", JobEnded)},
        BATCH_ENDED: {"post": _ended("callbacks.batch_ended", "All jobs of a batch have ended", BatchEnded)},
    }


def stream(media: str, messages: Mapping[str, type[Struct] | OneOf]) -> dict[str, Any]:
    """The content of an event stream: text, whose messages' data are these, by the names of their events."""
    named = ", ".join(f"`{event}`" for event in messages)
    schema = {"type": "string", "description": f"Server-sent events; the data of each is JSON. Events: {named}."}
    return {media: {"schema": schema, "x-events": {event: ref(name_of(kind)) for event, kind in messages.items()}}}


def _ended(id: str, summary: str, body: type[Struct]) -> dict[str, Any]:
    return {
        "operationId": id,
        "summary": summary,
        "description": ABOUT,
        "tags": list(TAG),
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": required, "description": about, "schema": {"type": "string"}}
            for name, (about, required) in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref(body.__name__)}}},
        "responses": {
            "2XX": {"description": "It has arrived"},
            "410": {"description": "The receiver wants no more of this delivery"},
            "default": {"description": "It is sent again later"},
        },
    }
