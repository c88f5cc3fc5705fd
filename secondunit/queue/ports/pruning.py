"""Retention window of a prune: what has outlived its time."""

from datetime import datetime

from secondunit.queue.value import Value


class Prune(Value, frozen=True):
    """What has outlived its time: ended before `before` (failed ones before `failed_before`), in slices of `limit`."""

    now: datetime
    before: datetime
    failed_before: datetime
    limit: int = 500
