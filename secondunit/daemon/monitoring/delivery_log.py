"""Instrumentation sink: what the log says of deliveries, a line for each try."""

import logging

import structlog

from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.queue.instrumentation import Fact
from secondunit.queue.store import Delivery

LEVELS = {"delivered": logging.INFO, "later": logging.WARNING, "dead": logging.ERROR}


class DeliveryLog:
    """The sink."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(__name__)

    def __call__(self, fact: Fact) -> None:
        """Log what became of a try."""
        if not isinstance(fact, DeliveryTried):
            return
        delivery = fact.delivery
        self._log.log(
            LEVELS[fact.outcome],
            f"delivery.{fact.outcome}",
            message=sentence(delivery),
            job_id=delivery.notice.job_id,
            delivery_id=delivery.id,
            kind=delivery.notice.target.kind,
            attempt=delivery.attempts,
            status=delivery.last_status,
            error=delivery.last_error,
        )


def sentence(delivery: Delivery) -> str:
    """What became of a delivery, as a person would tell it."""
    what = f"{delivery.notice.target.kind} of job {delivery.notice.job_id}"
    match delivery.state:
        case "delivered":
            return f"{what} delivered, attempt {delivery.attempts}"
        case "dead":
            return f"{what} given up after attempt {delivery.attempts}: {delivery.last_error}"
        case "pending":
            when = f" at {delivery.next_at:%H:%M:%S}" if delivery.next_at else ""
            return f"{what} failed and is tried again{when}: {delivery.last_error}"
