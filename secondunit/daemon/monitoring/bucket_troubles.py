"""Instrumentation sink: buckets that could not be used, remembered until they can, or nobody has asked for an hour."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from secondunit.handlers.tools.storage.s3.client import BucketAsked
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact
from secondunit.queue.value import Value

REMEMBERED = timedelta(hours=1)
MOST = 1000


class BucketTrouble(Value, frozen=True):
    """Why a bucket could not be used the last time it was asked; `passing`: it may be over by itself."""

    text: str
    passing: bool
    at: datetime


class BucketTroubles:
    """The sink."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[tuple[str, bool], BucketTrouble] = {}

    def __call__(self, fact: Fact) -> None:
        """Hear of one; what reads and what writes are apart, for one that is full can be read."""
        if isinstance(fact, BucketAsked):
            key = fact.bucket, fact.wrote
            if fact.trouble is None:
                self._found.pop(key, None)
            elif key in self._found or len(self._found) < MOST:
                self._found[key] = BucketTrouble(fact.trouble, fact.passing, self._clock.now())

    def recent(self) -> Mapping[str, BucketTrouble]:
        """By the bucket's name; of two, what keeps it from being written."""
        oldest = self._clock.now() - REMEMBERED
        self._found = {key: trouble for key, trouble in self._found.items() if trouble.at > oldest}
        return {bucket: trouble for (bucket, _), trouble in sorted(self._found.items(), key=lambda item: item[0])}
