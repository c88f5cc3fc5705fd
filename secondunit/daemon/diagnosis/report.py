"""Doctor's report of a running daemon: what it alone can see, its settings in effect and its ways out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secondunit.daemon.diagnosis.checks import CheckResult


@dataclass(frozen=True, slots=True)
class DaemonReport:
    """`keys`: whether callers need one; `settings` by their variables' names, secrets as `***`; nothing is secret."""

    version: str
    pid: int
    keys: bool
    settings: Mapping[str, Any]
    checks: Sequence[CheckResult]
