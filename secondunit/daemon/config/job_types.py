"""Finds job types: the modules of secondunit.handlers, then entry points of other distributions, by one signature."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from secondunit import handlers
from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec

GROUP = "secondunit.handlers"
NO_JOB_TYPES = ("tools",)


@dataclass(frozen=True, slots=True)
class BrokenJobType:
    """A job type that could not be loaded, from where, and why."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class DiscoveredJobTypes:
    """The job types there are, as the settings want them, and what could not be loaded."""

    specs: Sequence[HandlerSpec]
    broken: Sequence[BrokenJobType]


@dataclass(frozen=True, slots=True)
class JobTypeSource:
    """A place that may define a job type: `load` gives its `build`."""

    name: str
    load: Callable[[], Any]


def discover(tools: Tools, settings: Settings, sources: Iterable[JobTypeSource] | None = None) -> DiscoveredJobTypes:
    """Build every job type; BadConfig when two sources claim one type."""
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
            specs.append(configured(built, settings))
    if faults:
        raise BadConfig(faults)
    served = [spec for spec in specs if not settings.types or spec.type in settings.types]
    return DiscoveredJobTypes(served, broken)


def installed() -> Iterator[JobTypeSource]:
    """Our own modules, then what other distributions announce, by name."""
    for module in sorted(pkgutil.iter_modules(handlers.__path__), key=lambda module: module.name):
        if module.name not in NO_JOB_TYPES and not module.name.startswith("_"):
            name = f"{handlers.__name__}.{module.name}" + (".handler" if module.ispkg else "")
            yield JobTypeSource(name, _module_loader(name))
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        yield JobTypeSource(_title(point), point.load)


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


def _module_loader(name: str) -> Callable[[], Any]:
    return lambda: importlib.import_module(name).build


def _build(source: JobTypeSource, tools: Tools) -> HandlerSpec | BrokenJobType:
    try:
        spec = source.load()(tools)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin does, the other job types go on
        return BrokenJobType(source.name, f"{type(error).__name__}: {error}")
    if not isinstance(spec, HandlerSpec):
        return BrokenJobType(source.name, f"build() returned {type(spec).__name__}, not a HandlerSpec")
    return spec


def _title(point: EntryPoint) -> str:
    owner = f" of {point.dist.name}" if point.dist else ""
    return f"{point.value}{owner}"
