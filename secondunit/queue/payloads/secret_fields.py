"""Secret fields of payloads (headers, cookies): struck out once their job has ended, and missed by a retry; pure."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from secondunit.queue.errors import NotAllowed, SecretsStruck
from secondunit.queue.model import Change, Job, Status
from secondunit.queue.payloads.redaction import HIDDEN, redacted
from secondunit.queue.value import replace

LONGEST_ACCOUNT = 300


def without_secrets(change: Change, secrets: Collection[str]) -> Change:
    """The change; of a job that it ends for good without what these fields of its payload held."""
    if not secrets or change.job.status not in (Status.COMPLETED, Status.CANCELLED):
        return change
    return replace(change, job=strike(change.job, secrets).job)


def strike(job: Job, secrets: Collection[str]) -> Change:
    """An ended job without what these fields of its payload held; nobody is told."""
    if not job.status.ended:
        raise NotAllowed(job.id, f"it is {job.status} and needs its payload")
    payload = struck(job.payload, secrets)
    return Change(job if payload == job.payload else replace(job, payload=payload))


def check_whole(job: Job, secrets: Collection[str]) -> None:
    """Raise SecretsStruck if a run of this job would miss what these fields held."""
    if missing := [name for name in job.payload if name in secrets and _is_struck(job.payload[name])]:
        raise SecretsStruck(job.id, missing)


def account_of(job: Job, secrets: Collection[str]) -> str | None:
    """A line for the audit trail, which outlives the job: who submitted it, and its payload without secrets."""
    if not job.payload:
        return job.submitted_by
    asked = redacted(json.dumps(struck(job.payload, secrets), ensure_ascii=False))[:LONGEST_ACCOUNT]
    return f"{job.submitted_by}; {asked}" if job.submitted_by else asked


def struck(payload: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The payload without the values of these fields; of a mapping (headers, cookies) the names stay."""
    return {name: _struck(value) if name in secrets else value for name, value in payload.items()}


def _struck(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return None if value is None else HIDDEN


def _is_struck(value: Any) -> bool:
    return bool(value) and value == _struck(value)
