"""Factory of the report that the daemon gives `doctor` about itself."""

import os
from collections.abc import Awaitable, Callable, Sequence

from secondunit.daemon.config.loader import shown
from secondunit.daemon.diagnosis.checks import CheckResult, Examination, bad, examined, ok, warn, without_secrets
from secondunit.daemon.diagnosis.providers import provider_looks
from secondunit.daemon.diagnosis.report import DaemonReport, origin_of
from secondunit.daemon.diagnosis.sandbox import sandbox_check
from secondunit.daemon.formats import instant
from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health import Checkup
from secondunit.daemon.wiring.components import World
from secondunit.queue.sentences import say


def doctor_of(world: World, checkup: Checkup, version: str) -> Callable[[], Awaitable[DaemonReport]]:
    """Asks the services outside anew each time, at no cost."""
    settings = world.settings

    async def sandbox() -> Sequence[CheckResult]:
        return [sandbox_check(settings.sandbox, world.sandbox)]

    async def report() -> DaemonReport:
        looks = [
            Examination("health", lambda: _health(checkup)),
            Examination("sandbox", sandbox),
            *provider_looks(settings, world.operators, world.clock),
        ]
        hidden = settings.secrets()
        found = [without_secrets(check, hidden) for check in await examined(looks)]
        values = shown(settings)
        origins = {name: origin_of(name.lower(), world.origins) for name in values}
        return DaemonReport(version, os.getpid(), world.keys.exist, values, origins, found)

    return report


async def _health(checkup: Checkup) -> Sequence[CheckResult]:
    report = await checkup()
    judged = bad if report.status == "failing" else warn
    return [judged("health", _told(condition), condition.remedy) for condition in report.conditions] or [
        ok("health", say("/health says {status}", status=report.status))
    ]


def _told(condition: Condition) -> str:
    since = instant(condition.since)
    return say("{word} since {at}: {text}", word=condition.word, at=since, text=condition.text)
