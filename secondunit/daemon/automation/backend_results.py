"""Instrumentation sink: results that the backend took, counted, and told in the line that tools watch for."""

import structlog

from secondunit.daemon.automation.backend import KIND
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Status

log = structlog.get_logger(__name__)


class BackendResults:
    """The sink; `delivered` counts since the start."""

    def __init__(self) -> None:
        self.delivered = 0

    def __call__(self, fact: Fact) -> None:
        """Hear of a try to deliver."""
        if isinstance(fact, DeliveryTried) and brought_result(fact):
            self.delivered += 1
            notice = fact.delivery.notice
            id = notice.target.address
            message = f"[Active Mode] ✅ Job {id} completed successfully"
            log.info("backend.completed", message=message, analysis_id=id, job_id=notice.job_id)


def brought_result(tried: DeliveryTried) -> bool:
    """Whether the backend has a result by this try; of a failed job it is told nothing."""
    notice = tried.delivery.notice
    return notice.target.kind == KIND and tried.outcome == "delivered" and notice.status is Status.COMPLETED
