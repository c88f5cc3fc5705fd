"""Tries of a delivery: what each came to, the last of many kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from secondunit.queue.value import Value

KEPT = 20
LONGEST_ERROR = 500


class Try(Value, frozen=True):
    """One request to a receiver: when it began, how long it took, the `status` of the answer if there was one."""

    at: datetime
    took: timedelta
    status: int | None = None
    error: str | None = None


def with_try(tries: Sequence[Try], last: Try) -> tuple[Try, ...]:
    """The tries with one more, the oldest of too many left out and a long error cut."""
    cut = Try(last.at, last.took, last.status, last.error and last.error[:LONGEST_ERROR])
    return (*tries, cut)[-KEPT:]
