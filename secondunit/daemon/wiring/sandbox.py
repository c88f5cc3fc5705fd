"""Sandbox of the jobs' programs, as SANDBOX wants it: measured at start, told in the log, perhaps demanded."""

import sys
from pathlib import Path

import structlog

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import OFF, Measured, measured

log = structlog.get_logger(__name__)


async def sandbox_of(settings: Settings) -> Measured:
    """What confines programs here; BadConfig if SANDBOX demands more than there is."""
    if settings.sandbox == "off":
        log.warning("sandbox.off", message="SANDBOX is off: programs of jobs may do what the daemon may")
        return OFF
    found = await measured_in(settings.data_dir)
    if found.whole:
        log.info("sandbox.holds", message="programs of jobs are confined", **found.describe())
        return found
    if settings.sandbox == "require":
        raise BadConfig([too_weak(found)])
    lacks = ", ".join(found.lacks)
    log.warning("sandbox.weak", message=f"programs of jobs are not fully confined: {lacks} (docs/sandbox.md)")
    return found


async def measured_in(data_dir: Path) -> Measured:
    """The strongest sandbox that works here, tried in this folder with the programs that jobs are given."""
    return await measured(lambda sandbox: ProcessRunner(sys.executable, sandbox=sandbox), sys.executable, data_dir)


def too_weak(found: Measured) -> str:
    """Why a daemon that demands a whole one does not start."""
    lacks = ", ".join(found.lacks)
    return f"SANDBOX: it is required, but not whole here ({lacks}; docs/sandbox.md); allowed: auto, off"
