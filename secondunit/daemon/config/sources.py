"""Plugin discovery: job types from the modules of secondunit.handlers, and from entry points of other distributions."""

import asyncio
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from secondunit import handlers
from secondunit.queue.value import Value

GROUP = "secondunit.handlers"
NO_JOB_TYPES = ("tools",)


class JobTypeSource(Value, frozen=True):
    """A place that may define a job type, by custom the one of its `type`: `load` gives its `build`."""

    name: str
    load: Callable[[], Any]
    type: str = ""


def installed() -> Iterator[JobTypeSource]:
    """Our own modules, then what other distributions announce, by name."""
    yield from ours()
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        yield JobTypeSource(_title(point), point.load, point.name)


def ours() -> Iterator[JobTypeSource]:
    """Our own modules, by name."""
    for module in sorted(pkgutil.iter_modules(handlers.__path__), key=lambda module: module.name):
        if module.name not in NO_JOB_TYPES and not module.name.startswith("_"):
            name = f"{handlers.__name__}.{module.name}" + (".handler" if module.ispkg else "")
            yield JobTypeSource(name, _module_loader(name), module.name)


async def load_ahead(sources: Iterable[JobTypeSource]) -> None:
    """Import these in a thread, so that other work goes on; whoever builds them is told what is wrong with one."""
    for source in sources:
        await asyncio.gather(asyncio.to_thread(source.load), return_exceptions=True)


def _module_loader(name: str) -> Callable[[], Any]:
    return lambda: importlib.import_module(name).build


def _title(point: EntryPoint) -> str:
    owner = f" of {point.dist.name}" if point.dist else ""
    return f"{point.value}{owner}"
