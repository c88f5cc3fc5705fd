"""Situations that doctor looks at, each with one fault."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from secondunit.cli.diagnosis.situation import Situation
from secondunit.daemon.diagnosis.checks import CheckResult

Box = Callable[..., Situation]
REPORT: Mapping[str, Any] = {"version": "1", "pid": os.getpid(), "keys": True, "settings": {}, "checks": []}


def only(checks: Iterable[CheckResult], name: str) -> CheckResult:
    """The one finding of this name, which has a remedy unless all is well."""
    [check] = [check for check in checks if check.name == name]
    assert check.remedy or check.state == "ok"
    return check


def data_of(here: Situation) -> Path:
    return here.settings.data_dir
