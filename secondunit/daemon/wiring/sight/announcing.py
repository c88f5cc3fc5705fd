"""Lines of the log at the start: what can't be used, in which mode it runs, what it serves and where."""

import structlog

from secondunit.daemon.config.job_types import DiscoveredJobTypes
from secondunit.daemon.config.oddities import unserved
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.monitoring.job_log import mode_lines
from secondunit.daemon.wiring.backend import idle
from secondunit.daemon.wiring.components import Components, World

log = structlog.get_logger("secondunit.daemon.app")


def report(found: DiscoveredJobTypes, settings: Settings) -> None:
    """Plugins that are broken, and settings of types that nothing serves."""
    for broken in found.broken:
        log.error("plugin.broken", message=f"{broken.source} can't be used: {broken.why}")
    for warning in unserved(settings, [spec.type for spec in found.specs]):
        log.warning("config.odd", message=warning)


def announce(world: World, port: int, components: Components) -> None:
    """It is ready."""
    settings = world.settings
    for line in mode_lines(settings, polls=components.poller is not None):
        log.info("daemon.mode", message=line)
    if settings.processor_mode == "active" and (why := idle(settings, world.tools.media)):
        log.warning("backend.idle", message=f"[Active Mode] Nothing is polled: {why}")
    if components.poller:
        once = (
            "an active box with another queue does each again, unless the backend grants claims (docs/active-mode.md)"
        )
        log.info("backend.claims", message=f"[Active Mode] Note: {once}")
    if components.presence.box.drained:
        again = f"`secondunit boxes resume {settings.box}` has it start jobs again"
        log.warning("box.drained", message=f"box {settings.box} was drained before this start and stays so: {again}")
    types = ", ".join(sorted(components.queue.registry)) or "no job type"
    log.info("daemon.ready", message=f"serving {types} on http://{settings.host}:{port}", port=port)
