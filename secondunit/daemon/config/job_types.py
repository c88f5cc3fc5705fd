"""Plugin loading: job types, built from their sources by one signature, as the settings want them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import cast

from pydantic import BaseModel

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.plugin_guard import guarded, misshapen
from secondunit.daemon.config.remote.tables import RemoteTypeTable
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.sources import JobTypeSource, installed
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext, Registry, no_folder, no_inputs
from secondunit.queue.outcome import HandlerBroke, told
from secondunit.queue.value import Value

REMOTE = "remote workers"


class BrokenJobType(Value, frozen=True):
    """A job type that could not be loaded, from where, and why."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class DiscoveredJobTypes:
    """The job types that are served, as the settings want them; all that are known; and what could not be loaded.

    `sources` says where each known type comes from.
    """

    specs: Sequence[HandlerSpec]
    broken: Sequence[BrokenJobType]
    known: Mapping[str, HandlerSpec]
    sources: Mapping[str, str] = field(default_factory=dict)

    def registry(self, *, shared: bool) -> Registry:
        """The types that are served; where boxes share the queue, the others are taken for those that run them."""
        return Registry(self.specs, self.known.values() if shared else ())


def discover(tools: Tools, settings: Settings, sources: Iterable[JobTypeSource] | None = None) -> DiscoveredJobTypes:
    """Build every job type; BadConfig when two sources claim one type, or TYPES names one that there is not."""
    owners: dict[str, str] = {}
    specs: list[HandlerSpec] = []
    broken: list[BrokenJobType] = []
    faults: list[str] = []
    for source in installed() if sources is None else sources:
        built = _build(source, tools)
        if isinstance(built, BrokenJobType):
            broken.append(built)
        elif built.type in owners:
            faults.append(
                f"job type {built.type!r}: both {owners[built.type]} and {source.name} define it;"
                " allowed: one of them, uninstall the other"
            )
        else:
            owners[built.type] = source.name
            specs.append(guarded(_with_key(configured(built, settings), tools)))
    for name, table in settings.remote_types.items():
        if name in owners:
            faults.append(f"remote_types.{name}: {owners[name]} defines this job type; allowed: a name of its own")
            continue
        owners[name] = REMOTE
        specs.append(_remote(name, table, settings))
    if not broken:  # else it may be of one that can't be used just now, for which the daemon does not stay away
        known = ", ".join(sorted(owners))
        faults += [f"TYPES: {type!r} is no job type; allowed: {known}" for type in settings.types if type not in owners]
    if faults:
        raise BadConfig(faults)
    # TYPES says what runs here; who leases a job runs it elsewhere.
    served = [spec for spec in specs if spec.remote or not settings.types or spec.type in settings.types]
    return DiscoveredJobTypes(served, broken, {spec.type: spec for spec in specs}, owners)


def programs_of(settings: Settings) -> frozenset[str] | None:
    """The programs that the served types call; None where that can't be known without a daemon."""
    found = discover(cast(Tools, SimpleNamespace(gemini=None, geocoder=None, deployments=None)), settings)
    if found.broken:
        return None
    wanted = [spec for spec in found.specs if settings.gemini_api_key or not spec.paid]
    return frozenset(program for spec in wanted for program in spec.programs)


def configured(spec: HandlerSpec, settings: Settings) -> HandlerSpec:
    """The job type with what the settings say of it."""
    key = spec.type.replace("-", "_")
    timeout = settings.timeout.get(key)
    retry = settings.retry.get(spec.type)
    return replace(
        spec,
        concurrency=settings.concurrency.get(key, spec.concurrency),
        timeout=timedelta(seconds=timeout) if timeout else spec.timeout,
        retry=retry.policy() if retry else spec.retry,
        stall=timedelta(seconds=settings.stall_seconds) if "stall_seconds" in settings.model_fields_set else spec.stall,
    )


def _remote(name: str, table: RemoteTypeTable, settings: Settings) -> HandlerSpec:
    """A type whose jobs are leased; a worker's silence ends a lease, so nothing else is its sign of life."""
    spec = HandlerSpec(
        name,
        table.payload_schema.model(name),
        _never,
        table.concurrency,
        timedelta(seconds=table.timeout_seconds),
        retry=table.retry.policy(),
        place=no_folder,
        secrets=table.payload_schema.secrets,
        artifacts=lambda _: {},
        inputs=no_inputs,  # what a worker reads lies where it runs
        remote=True,
    )
    set_up = configured(spec, settings)
    return replace(set_up, stall=set_up.timeout)


async def _never(_: JobContext, __: BaseModel) -> None:
    raise HandlerBroke("jobs of this type are leased by remote workers")


def _with_key(spec: HandlerSpec, tools: Tools) -> HandlerSpec:
    """A paid type is refused while there is no key, whatever it checks itself."""
    return replace(spec, check=partial(_refuse, spec.type)) if spec.paid and tools.gemini is None else spec


def _refuse(type: str, _: BaseModel) -> None:
    raise TypeUnavailable(type, "set GEMINI_API_KEY to a key for the Gemini API")


def _build(source: JobTypeSource, tools: Tools) -> HandlerSpec | BrokenJobType:
    try:
        spec = source.load()(tools)
        if not isinstance(spec, HandlerSpec):
            return BrokenJobType(source.name, f"build() returned {type(spec).__name__}, not a HandlerSpec")
        fault = misshapen(spec)
    except BaseException as error:  # noqa: BLE001  whatever a plugin does, the other job types go on
        return BrokenJobType(source.name, told(error))
    return BrokenJobType(source.name, f"in its HandlerSpec, {fault}") if fault else spec
