"""Retention window of a prune: what has outlived its time."""

from datetime import datetime, timedelta

from secondunit.queue.value import Value

KEY_LIFE = timedelta(hours=24)  # of an idempotency key


class Prune(Value, frozen=True):
    """What has outlived its time: ended before `before` (failed ones before `failed_before`), in slices of `limit`."""

    now: datetime
    before: datetime
    failed_before: datetime
    limit: int = 500
