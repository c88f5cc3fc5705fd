"""Delivery policy: what a sender is, how its try may end, back-off and expiry; values and pure rules."""

from datetime import datetime, timedelta
from typing import Protocol

from secondunit.handlers.tools.http_statuses import in_trouble
from secondunit.queue.clock import Random
from secondunit.queue.payloads.redaction import redacted
from secondunit.queue.ports.deliveries import Try, with_try
from secondunit.queue.retry import Backoff
from secondunit.queue.store import Delivery
from secondunit.queue.value import Value, replace

LONGEST_WAIT = timedelta(hours=1)
UNTOLD = "there was nothing to tell, so nothing was sent"
BACKOFF = Backoff(timedelta(seconds=1), LONGEST_WAIT, jitter=0.2)


class Delivered(Value, frozen=True):
    """The receiver has it."""

    status: int


class TryLater(Value, frozen=True):
    """It did not arrive as far as we know; no answer, no `status`; `delay` is a wait the receiver asked for."""

    error: str
    status: int | None = None
    delay: timedelta | None = None


class Gone(Value, frozen=True):
    """It can't arrive any more, so there is no point in trying again."""

    error: str
    status: int | None = None


Sent = Delivered | TryLater | Gone


class Sender(Protocol):
    """Sends one kind of delivery, and gives each up `lifetime` after it was made."""

    @property
    def lifetime(self) -> timedelta: ...

    def host(self, delivery: Delivery) -> str:
        """Names what fails and recovers as one, and so shares a bulkhead and a circuit breaker."""
        ...

    def tells(self, delivery: Delivery) -> bool:
        """Whether the receiver is to be told of this; if not, it is done without a try, and nobody's turn is used."""
        ...

    async def send(self, delivery: Delivery) -> Sent:
        """Try once, within a bounded time; what goes wrong on the way is an answer, not an exception."""
        ...


def settle(
    delivery: Delivery, sent: Sent, lifetime: timedelta, random: Random, now: datetime, took: timedelta = timedelta()
) -> Delivery:
    """The delivery after a try: delivered, dead, or due again within an hour, at its lifetime's end at last."""
    error = None if isinstance(sent, Delivered) else redacted(sent.error)
    tries = with_try(delivery.tries, Try(now - took, took, sent.status, error))
    tried = replace(delivery, attempts=delivery.attempts + 1, last_status=sent.status, last_error=error, tries=tries)
    match sent:
        case Delivered():
            return replace(tried, state="delivered", next_at=None, finished_at=now)
        case Gone():
            return replace(tried, state="dead", next_at=None, finished_at=now)
        case TryLater(_, _, asked):
            end = delivery.created_at + lifetime
            if now >= end:
                return replace(tried, state="dead", next_at=None, finished_at=now)
            wait = min(max(backoff(tried.attempts, random), asked or timedelta()), LONGEST_WAIT)
            return replace(tried, next_at=min(now + wait, end))


def untold(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery when its receiver needs none: done without a try."""
    return replace(delivery, state="delivered", next_at=None, finished_at=now, last_error=UNTOLD)


def expire(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery when its lifetime ended while others were being tried in its place: its host never recovered."""
    error = delivery.last_error or "its host did not recover in time"
    return replace(delivery, state="dead", next_at=None, finished_at=now, last_error=error)


def backoff(attempts: int, random: Random) -> timedelta:
    """How long to wait after this many tries: 1 s, doubling, and up to a fifth more by chance."""
    return BACKOFF.jittered(attempts - 1, random)


def resent(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery as new and due now, under its old id: tries and lifetime count from here."""
    return replace(delivery, state="pending", attempts=0, created_at=now, next_at=now, finished_at=None)


def receiver_works(sent: Sent) -> bool | None:
    """Whether the receiver works, whatever it thought of this delivery; None when it was not asked."""
    if sent.status is None:
        return False if isinstance(sent, TryLater) else None
    return isinstance(sent, Gone) or not in_trouble(sent.status)
