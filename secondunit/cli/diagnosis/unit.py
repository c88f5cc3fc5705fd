"""Checks of the systemd service: its units beside those that this version ships, and what systemd says of it."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.host.installation import Found, facts
from secondunit.cli.host.units import SERVICE, TIMER, UNITS, ours
from secondunit.daemon.config.loader import Config
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn

INSTALL = "`secondunit service install`, then `systemctl restart secondunit`"


def unit(here: Situation, program: Path) -> Iterator[CheckResult]:
    """Of this machine, whatever DATA_DIR doctor was asked about."""
    file = here.layout.unit(SERVICE)
    if not file.exists():
        yield ok("unit", "no service is installed here")
        return
    found = [
        *_program(file),
        *(_differing(here, here.config, program) if here.config else ()),
        *_running(facts(SERVICE)),
    ]
    timer = facts(TIMER)
    if timer.get("ActiveState") == "inactive":
        found.append(warn("unit", f"{TIMER} is not active: no backups", f"`systemctl enable --now {TIMER}`"))
    yield from found or [ok("unit", f"{file} is as this version has it")]


def _program(file: Path) -> Iterator[CheckResult]:
    lines = file.read_text("utf-8", "replace").splitlines()
    starts = [line.partition("=")[2] for line in lines if line.startswith("ExecStart=")]
    try:
        words = shlex.split(starts[-1].replace("$$", "$")) if starts else []
    except ValueError:
        words = []
    if not words or not os.access(words[0], os.X_OK):
        started = words[0] if words else "nothing"
        yield bad("unit", f"{file} starts {started}, which is no program here", INSTALL)


def _differing(here: Situation, config: Config, program: Path) -> Iterator[CheckResult]:
    at = Found(here.layout, program, config)
    shipped = ours(here.layout, program, [] if here.layout.packaged else at.folders())
    wanted = {path: shipped[path] for path in map(here.layout.unit, UNITS)}
    if here.layout.packaged:
        wanted.update(at.files())
    for path, text in wanted.items():
        if not path.exists():
            yield bad("unit", f"{path} is missing", INSTALL)
        elif path.read_text("utf-8", "replace") != text:
            found = f"{path} is not as this version, with these settings, has it"
            remedy = f"{INSTALL}; changes of yours belong into `systemctl edit {path.name}`"
            yield bad("unit", found, remedy)


def _running(told: Mapping[str, str]) -> Iterator[CheckResult]:
    """What systemd says; nothing where it does not run this machine."""
    state, result = told.get("ActiveState"), told.get("Result", "")
    if state == "failed":
        code = told.get("ExecMainStatus", "")
        yield bad(
            "unit", f"systemd gave the service up ({result}, exit code {code})", "`journalctl -u secondunit -n 50`"
        )
    if told.get("NeedDaemonReload") == "yes":
        yield warn("unit", "systemd has not read the unit since it changed", "`systemctl daemon-reload`, then restart")
    if told.get("UnitFileState") == "disabled":
        yield warn("unit", "the service does not start with the machine", "`systemctl enable secondunit`")
    if told.get("NRestarts", "0") not in ("", "0"):
        yield warn("unit", f"systemd restarted it {told['NRestarts']} times", "`journalctl -u secondunit` says why")


def variables() -> Mapping[str, str]:
    """What the unit sets in the environment, drop-ins included, as far as systemd says."""
    words = shlex.split(facts(SERVICE).get("Environment", ""))
    return {name: value for name, equals, value in (word.partition("=") for word in words) if equals}
