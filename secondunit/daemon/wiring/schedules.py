"""Factory of the schedules: the tables of the file, their jobs held to what POST /api/jobs and their types want."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.config.job_types import DiscoveredJobTypes, discover
from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.oddities import unserved
from secondunit.daemon.config.schedules import ScheduleTable
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.http.contract import requests
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError, TypeBroken, UnknownType
from secondunit.queue.graph.references import dotted, references
from secondunit.queue.handler import Registry
from secondunit.queue.validation import validated

OPERATOR = Caller("", frozenset())


def schedules_of(settings: Settings, found: DiscoveredJobTypes) -> list[Schedule]:
    """The schedules; BadConfig names every fault of their jobs.

    What a type checks as a job is submitted (is the file there?) is not asked here: it may be so when the time comes.
    """
    registry, rule = found.registry(shared=settings.database.shared), AddressRule(settings.allow_private_addresses)
    schedules, faults = list[Schedule](), list[str]()
    for table in settings.schedule:
        try:
            schedules.append(_schedule(table, registry, rule, complete=not found.broken))
        except BadPayload as error:
            for fault in error.errors:
                faults.append(f"schedule.{table.name}.job.{fault.field}: {fault.message}")
    if faults:
        raise BadConfig(faults)
    return schedules


def check_job_types(settings: Settings) -> Sequence[str]:
    """The same without a daemon, and what the daemon would warn of; BadConfig where none could start for its job types.

    That is also for two that are called the same, or what TYPES names. Types that need tools to be built are not asked.
    """
    tools = SimpleNamespace(gemini=None, geocoder=None, deployments=None)
    found = discover(cast(Tools, tools), settings)
    schedules_of(settings, found)
    broken = [f"{one.source} can't be used: {one.why}" for one in found.broken]
    return [*broken, *unserved(settings, [spec.type for spec in found.specs])]


def _schedule(table: ScheduleTable, registry: Registry, rule: AddressRule, *, complete: bool) -> Schedule:
    ask = requests.taken(requests.SubmitAsk, table.job)
    if faults := list(_faults(ask, registry, complete=complete)):
        raise BadPayload(*faults)
    asked = requests.submission(ask, registry, rule, None, OPERATOR)
    return Schedule(table.name, table.times(), asked, table.missed, table.overlap, table.pause_after_failures)


def _faults(ask: requests.SubmitAsk, registry: Registry, *, complete: bool) -> Iterator[FieldError]:
    if ask.run_at is not None:
        yield FieldError("runAt", "is for a single job; leave it out, cron says when")
    if ask.depends_on:
        yield FieldError("dependsOn", "names single jobs, which are forgotten one day; leave it out")
    for found in references(ask.payload):
        place = found.field if isinstance(found, FieldError) else dotted(found.place)
        yield FieldError(
            f"payload.{place}", "refers to another job's result; a schedule's job has none, so write a value"
        )
    try:
        json.dumps(ask.payload, allow_nan=False)
    except (TypeError, ValueError):
        yield FieldError("payload", "holds what JSON does not know (a date, inf, nan); put it in quotes")
    try:
        validated(replace(registry[ask.type], check=None), ask.payload)
    except UnknownType as error:
        if complete:  # it may be of a plugin that can't be used just now, for which the daemon does not stay away
            yield FieldError("type", f"{error}; take one of these, or serve it here (TYPES)")
    except BadPayload as error:
        yield from error.errors
    except TypeBroken as error:
        yield FieldError("payload", f"can't be judged, which is a fault of the job type: {error.why}")
