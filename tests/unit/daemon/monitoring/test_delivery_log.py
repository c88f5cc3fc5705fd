"""The log of deliveries: a line for each try, as loud as what became of it."""

from datetime import timedelta
from typing import Any

import pytest
import structlog

from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.monitoring.delivery_log import DeliveryLog
from secondunit.queue.instrumentation import PhaseEnded
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.store import Delivery
from secondunit.queue.value import replace
from secondunit.testing.clock import START

NOTICE = Notice(Target("callback", "x"), "job_a", "hls", Status.COMPLETED, 1, START, None, None, None, "api", {})
TRIED = Delivery("job_a-1", NOTICE, "pending", 2, START, START + timedelta(seconds=4), last_status=500, last_error="no")


@pytest.mark.parametrize(
    ("changed", "event", "level", "sentence"),
    [
        ({}, "delivery.later", "warning", "failed and is tried again at 00:00:04: no"),
        ({"next_at": None}, "delivery.later", "warning", "failed and is tried again: no"),
        ({"state": "delivered"}, "delivery.delivered", "info", "delivered, attempt 2"),
        ({"state": "dead"}, "delivery.dead", "error", "given up after attempt 2: no"),
    ],
)
def test_each_try_has_its_line(changed: dict[str, Any], event: str, level: str, sentence: str) -> None:
    with structlog.testing.capture_logs() as lines:
        DeliveryLog()(DeliveryTried(replace(TRIED, **changed)))
    [line] = lines
    assert (line["event"], line["log_level"], line["attempt"], line["status"]) == (event, level, 2, 500)
    assert line["message"] == f"callback of job job_a {sentence}"


def test_what_is_no_delivery_is_not_logged() -> None:
    with structlog.testing.capture_logs() as lines:
        DeliveryLog()(PhaseEnded("hls", "encode", 1.0))
    assert lines == []
