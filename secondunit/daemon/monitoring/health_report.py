"""Health report: what /health tells."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from secondunit.daemon.monitoring.conditions import Condition
from secondunit.queue.value import Value


class HealthReport(Value, frozen=True):
    """How the daemon is: `reasons` say what is wrong, `figures` are for those who may see them.

    `conditions` are the same with since when and what to do; `notes` say what is no fault.
    """

    status: Literal["ok", "degraded", "draining", "failing"]
    reasons: Sequence[str] = ()
    figures: Mapping[str, Any] | None = None
    conditions: Sequence[Condition] = ()
    notes: Sequence[str] = ()
