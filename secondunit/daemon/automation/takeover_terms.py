"""Terms of the takeover of active mode: back-offs and cool-downs, and which analysis waits for them. Pure."""

from datetime import datetime, timedelta

from secondunit.queue.model import Job
from secondunit.queue.retry import Backoff
from secondunit.queue.value import Value

LONGEST_BACKOFF = timedelta(minutes=15)
LONGEST_COOLDOWN = timedelta(days=1)


class Terms(Value, frozen=True):
    """The operator's settings for the takeover; `alarming` listed analyses are more than there should be."""

    every: timedelta
    limit: int
    cooldown: timedelta
    alarming: int = 0

    def pause(self, failures: int) -> timedelta:
        """How long an analysis that failed here so often (and once more) is left alone: doubling, up to a day."""
        return Backoff(self.cooldown, max(LONGEST_COOLDOWN, self.cooldown)).wait(failures)

    @property
    def backoff(self) -> Backoff:
        """How long a backend in trouble is left alone: doubling, up to a quarter of an hour or 256 polls."""
        return Backoff(self.every, min(max(LONGEST_BACKOFF, self.every), self.every * 256), jitter=0.2)

    @property
    def memory(self) -> timedelta:
        """How long it is known what became of an analysis: past the longest pause, and a run after it."""
        return 2 * max(LONGEST_COOLDOWN, self.cooldown) + timedelta(days=1)


class Known(Value, frozen=True):
    """An analysis taken on before: its last job, how often it failed here, whether its result is on its way."""

    job: Job
    failures: int
    delivering: bool

    def waits(self, now: datetime, terms: Terms) -> bool:
        """Whether it ended here, but its result is on its way or its growing cool-down is not over."""
        ended = self.job.finished_at
        return ended is not None and (self.delivering or now < ended + terms.pause(self.failures))
