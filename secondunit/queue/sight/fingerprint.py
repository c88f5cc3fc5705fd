"""Error fingerprints: failures whose messages differ only in ids, paths, numbers and times are one group. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from secondunit.queue.model import JobId
from secondunit.queue.outcome import JobError
from secondunit.queue.payloads.json_text import dump
from secondunit.queue.sight.port import Failure
from secondunit.queue.value import Value

MOST_JOBS = 20
LONGEST_READ = 1000
URL = re.compile(r"(?:https?|s3|ftp|file)://[^\s\"'<>]+")
PATH = re.compile(r"(?<![\w<.])/[^\s\"':;,<>()]+")
QUOTED_PATH = re.compile(r"(?<=')/[^']+(?=')|(?<=\")/[^\"]+(?=\")")
TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d:\d\d(?:\.\d{1,9})?"
)
ID = re.compile(
    r"\bjob_[a-z2-7]{26}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[a-f]{0,39}\d)[0-9a-f]{8,64}\b"
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
MASKS = ((URL, "<url>"), (QUOTED_PATH, "<path>"), (PATH, "<path>"), (TIME, "<time>"), (ID, "<id>"), (NUMBER, "<n>"))


class ErrorGroup(Value, frozen=True):
    """Failures that are one kind: the newest message, and the newest jobs, at most 20."""

    fingerprint: str
    type: str
    error: JobError
    count: int
    first_at: datetime
    last_at: datetime
    job_ids: Sequence[JobId]


@lru_cache(maxsize=1000)
def masked(message: str) -> str:
    """The message without what differs from one failure of its kind to the next."""
    text = message[:LONGEST_READ]
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return " ".join(text.split())


def grouped(failures: Iterable[Failure]) -> Sequence[ErrorGroup]:
    """The groups of these failures, which come newest first; those with the most first."""
    groups: dict[tuple[str, str, str, str], list[Failure]] = {}
    for failure in failures:
        error = failure.error
        groups.setdefault((failure.type, error.kind, error.type, masked(error.message)), []).append(failure)
    found = [
        ErrorGroup(
            fingerprint=hashlib.sha256(dump(key).encode()).hexdigest()[:12],
            type=key[0],
            error=members[0].error,
            count=len(members),
            first_at=members[-1].at,
            last_at=members[0].at,
            job_ids=[member.job_id for member in members[:MOST_JOBS]],
        )
        for key, members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.fingerprint))
