"""Factory of the report that the daemon gives `doctor` about itself."""

import os
from collections.abc import Awaitable, Callable, Sequence

from secondunit.daemon.config.loader import shown
from secondunit.daemon.diagnosis.boxes import boxes_checks, clock_check, remote_type_check
from secondunit.daemon.diagnosis.checks import CheckResult, Examination, bad, examined, ok, warn, without_secrets
from secondunit.daemon.diagnosis.providers import provider_looks
from secondunit.daemon.diagnosis.report import DaemonReport, origin_of
from secondunit.daemon.diagnosis.sandbox import sandbox_check
from secondunit.daemon.formats import instant
from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health import Checkup
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.wiring.components import World
from secondunit.queue.remote.leasing import Leasing
from secondunit.queue.sentences import say
from secondunit.queue.sight.boxes import declared_apart


def doctor_of(
    world: World, checkup: Checkup, version: str, boxes: KnownBoxes, leasing: Leasing
) -> Callable[[], Awaitable[DaemonReport]]:
    """Asks the services outside anew each time, at no cost."""
    settings = world.settings

    async def queue() -> Sequence[CheckResult]:
        return await _of_queue(world, boxes, leasing)

    async def sandbox() -> Sequence[CheckResult]:
        return [sandbox_check(settings.sandbox, world.sandbox)]

    async def report() -> DaemonReport:
        looks = [
            Examination("health", lambda: _health(checkup)),
            Examination("sandbox", sandbox),
            Examination("boxes", queue),
            *provider_looks(settings, world.operators, world.clock),
        ]
        hidden = settings.secrets()
        found = [without_secrets(check, hidden) for check in await examined(looks)]
        values = shown(settings)
        origins = {name: origin_of(name.lower(), world.origins) for name in values}
        return DaemonReport(version, os.getpid(), world.keys.exist, values, origins, found)

    return report


async def _of_queue(world: World, boxes: KnownBoxes, leasing: Leasing) -> Sequence[CheckResult]:
    """Who shares the queue, what they don't agree on, and which remote types nobody asks for."""
    now, seen, counts = world.clock.now(), await boxes(), await world.store.counts()
    shared = [*boxes_checks(seen, counts.queued, now), clock_check(world.clock.astray)]
    of_types = [
        remote_type_check(
            type, await leasing.workers(type), counts.queued.get(type, 0), declared_apart(type, seen), now
        )
        for type in sorted(leasing.registry)
    ]
    return [*(shared if world.settings.database.shared else ()), *of_types]


async def _health(checkup: Checkup) -> Sequence[CheckResult]:
    report = await checkup()
    judged = bad if report.status == "failing" else warn
    return [judged("health", _told(condition), condition.remedy) for condition in report.conditions] or [
        ok("health", say("/health says {status}", status=report.status))
    ]


def _told(condition: Condition) -> str:
    since = instant(condition.since)
    return say("{word} since {at}: {text}", word=condition.word, at=since, text=condition.text)
