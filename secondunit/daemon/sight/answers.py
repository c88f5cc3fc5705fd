"""Answers to what operators ask of the queue, each a callable of its own; what the endpoints of sight are given."""

from collections.abc import Callable

from secondunit.daemon.automation.polls import BackendStatus
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.sight.errors import ErrorGroups
from secondunit.daemon.sight.explainer import Explainer
from secondunit.daemon.sight.forecast import Forecast
from secondunit.daemon.sight.stats import QueueStatistics
from secondunit.daemon.sight.system import SystemReport
from secondunit.daemon.sight.types import ServedTypes
from secondunit.queue.value import Value


class Answers(Value, frozen=True):
    """All of them."""

    explain: Explainer
    forecast: Forecast
    types: ServedTypes
    errors: ErrorGroups
    stats: QueueStatistics
    system: SystemReport
    boxes: KnownBoxes
    backend: Callable[[], BackendStatus]
