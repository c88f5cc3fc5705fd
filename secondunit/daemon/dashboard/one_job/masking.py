"""Masking of a job for the page and for curl: no secret field, and of URLs no password, signature or token; pure."""

import json
from collections.abc import Collection, Mapping
from shlex import quote
from typing import Any

from secondunit.queue.handler import Registry
from secondunit.queue.model import Job
from secondunit.queue.payloads.json_text import dump
from secondunit.queue.payloads.redaction import redacted
from secondunit.queue.payloads.secret_fields import struck


def masked(value: Any) -> Any:
    """The value with its URLs redacted, however deep."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {name: masked(inner) for name, inner in value.items()}
        case list() | tuple():
            return [masked(inner) for inner in value]
    return value


def shown_payload(job: Job, registry: Registry) -> Mapping[str, Any]:
    """The payload as anybody may look at it; of a type that is not served every value may be a secret."""
    secrets = registry[job.type].secrets if job.type in registry else job.payload.keys()
    shown: Mapping[str, Any] = masked(struck(job.payload, secrets))
    return shown


def hidden_fields(job: Job, shown: Mapping[str, Any]) -> Collection[str]:
    """The fields of the payload that are not, or not wholly, shown."""
    return [name for name, value in job.payload.items() if shown[name] != value]


def body_of(job: Job, shown: Mapping[str, Any]) -> str:
    """The body of a request that asks for the same once more."""
    ask: dict[str, Any] = {"type": job.type, "payload": shown, "priority": job.priority}
    if job.target is not None and job.target.kind == "callback":
        ask["callback"] = redacted(job.target.address)
    return json.dumps(json.loads(dump(ask)), ensure_ascii=False, indent=2)


def curl_data(job: Job, shown: Mapping[str, Any]) -> str:
    """The same, as an argument of curl in a shell."""
    return quote(body_of(job, shown))
