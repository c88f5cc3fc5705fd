"""Doctor's report of a running daemon: what it alone can see, its settings in effect and its ways out."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondunit.daemon.config.settings import PER_TYPE
from secondunit.daemon.diagnosis.checks import CheckResult
from secondunit.queue.value import Value


class DaemonReport(Value, frozen=True):
    """`keys`: whether callers need one; `settings` by their variables' names, secrets as `***`; nothing is secret.

    `origins` says of each setting where its value came from.
    """

    version: str
    pid: int
    keys: bool
    settings: Mapping[str, Any]
    origins: Mapping[str, str]
    checks: Sequence[CheckResult]


def origin_of(name: str, origins: Mapping[str, str]) -> str:
    """Where a value comes from: default, environment, or a file; of one by job type, where each type has it from."""
    by_type = [f"{type} {of}" for type, of in origins.items() if type.startswith(f"{name}_")]
    return origins.get(name) or (", ".join(by_type) if name in PER_TYPE else "") or "default"
