"""Health report: what /health tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the daemon is: `reasons` say what is wrong, `figures` are for those who may see them."""

    status: Literal["ok", "degraded", "draining", "failing"]
    reasons: Sequence[str] = ()
    figures: Mapping[str, Any] | None = None
