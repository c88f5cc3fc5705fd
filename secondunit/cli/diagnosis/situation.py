"""Situation that doctor finds: the settings in effect and who told them, and the running daemon's own report."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondunit.cli.client import DaemonRefused, NoDaemon, connected
from secondunit.cli.config import sought
from secondunit.cli.diagnosis.threads import apart
from secondunit.cli.host.units import SERVICE, Layout
from secondunit.daemon.config.loader import BadConfig, Config, load
from secondunit.daemon.config.settings import Settings, secret_names
from secondunit.daemon.config.surroundings import Surroundings, surroundings
from secondunit.queue.payloads.redaction import HIDDEN

DAEMON_ANSWERS_WITHIN = 60.0  # it asks services that may hang itself
GUESSED_FROM = ("DATA_DIR", "STATE_DIRECTORY", "FFMPEG_PATH", "FFPROBE_PATH")
NOT_READABLE = "SECONDUNIT_CONFIG: you may not read"
BY_HAND = "it can't be known what a daemon would be started with: these are the settings of this shell"


@dataclass(frozen=True, slots=True)
class Situation:
    """`told_by` says whose settings these are; `config` is what files and environment say now, None if `faults` do.

    `report` is the running daemon's, else `silence` says why there is none. `around` has the words for remedies.
    """

    settings: Settings
    around: Surroundings
    told_by: str
    layout: Layout
    config: Config | None
    faults: Sequence[str] = ()
    report: Mapping[str, Any] | None = None
    silence: str = ""
    hangs: bool = False
    refused: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be printed."""
        return self.settings.secrets() | (self.config.settings.secrets() if self.config else frozenset())


async def found(
    environ: Mapping[str, str], layout: Layout, of_unit: Mapping[str, str], within: float = DAEMON_ANSWERS_WITHIN
) -> Situation:
    """How it is here; `of_unit` are the variables that the service's unit sets."""
    config, faults = await apart(_config, environ, layout)
    settings = config.settings if config else await apart(_guessed, environ, layout)
    report, silence, hangs, refused = await _asked(settings.control, within)
    told_by = "the running daemon" if report else BY_HAND
    if report:
        settings = in_effect(report["settings"], settings)
    elif settings.data_dir == layout.state and await apart(layout.unit(SERVICE).exists):
        told_by = f"no daemon answers: as {layout.unit(SERVICE)} and {layout.config} have them"
        if config and of_unit:
            config, faults = await apart(_config, {**of_unit, "STATE_DIRECTORY": str(layout.state)}, layout)
            settings = config.settings if config else settings
    around = await apart(surroundings, settings.data_dir, environ, layout.root)
    return Situation(settings, around, told_by, layout, config, faults, report, silence, hangs, refused)


def in_effect(shown: Mapping[str, Any], local: Settings) -> Settings:
    """The settings that a daemon showed, without its secrets; the local ones where they can't be read."""
    hidden = {*secret_names(), "deploy", "schedule"}
    values = {name.lower(): value for name, value in shown.items() if value is not None}
    known = {name: value for name, value in values.items() if name in Settings.model_fields and name not in hidden}
    if HIDDEN in known.get("queue_url", ""):  # how a server is reached is shown without what lets one in
        known["queue_url"] = local.queue_url
    try:
        return Settings.model_validate(known)
    except ValueError:  # another version's
        return local


def _config(environ: Mapping[str, str], layout: Layout) -> tuple[Config | None, Sequence[str]]:
    try:
        return sought(environ, default_file=layout.config, starts=True), ()
    except BadConfig as error:
        return None, error.faults
    except PermissionError as error:
        return None, [f"{NOT_READABLE} {error.filename}"]


def _guessed(environ: Mapping[str, str], layout: Layout) -> Settings:
    """What can be looked at although the settings can't be used."""
    known = {name: environ[name] for name in GUESSED_FROM if environ.get(name)}
    if not known and layout.state.is_dir():
        known = {"DATA_DIR": str(layout.state)}
    try:
        return load({**known, "SECONDUNIT_CONFIG": os.devnull}, serves=False).settings
    except BadConfig:
        return load({"SECONDUNIT_CONFIG": os.devnull}, serves=False).settings


async def _asked(control: Path, within: float) -> tuple[Mapping[str, Any] | None, str, bool, bool]:
    """The daemon's report, or why there is none; whether it hangs; whether it is not for us."""
    try:
        async with asyncio.timeout(within), connected(control) as client:
            return await client.call("GET", "/api/admin/doctor"), "", False, False
    except NoDaemon:
        return None, f"nothing listens at {control}", False, False
    except DaemonRefused as refusal:
        return None, str(refusal), False, True
    except TimeoutError:
        return None, f"the daemon took the question at {control} and gave no answer", True, False
    except OSError as error:
        return None, f"{control} can't be used: {error.strerror or error}", False, False
