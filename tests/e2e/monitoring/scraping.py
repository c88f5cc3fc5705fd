"""A daemon with a job type that thinks of labels without end and a broken one, and what a scrape of it shows."""

import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import Daemon, environment_of, installed_plugin, starting

HOSTILE = """
from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    pass


def build(tools):
    async def run(ctx, payload):
        for n in range(60):
            async with ctx.phase(f'{n} of "{ctx.job_id}"', 0.0):
                pass
            async with ctx.phase(f"phase {n}", 0.0):
                pass
        return {}

    return HandlerSpec(type="host.ile:Type-1", payload=Payload, run=run, concurrency=5)
"""


class Scraped:
    """One scrape: its series, by name and labels."""

    def __init__(self, text: str) -> None:
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        self.values = {series: float(value) for series, _, value in lines}

    def labels(self) -> Mapping[str, frozenset[str]]:
        """The names, each with the names of its labels."""
        found: dict[str, frozenset[str]] = {}
        for series in self.values:
            name, _, labels = series.partition("{")
            found[name] = found.get(name, frozenset()) | frozenset(re.findall(r'(\w+)="', labels))
        return found


def scrape(daemon: Daemon) -> Scraped:
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/metrics", timeout=30) as answer:
        return Scraped(answer.read().decode())


@contextmanager
def hostile_daemon(folder: Path) -> Iterator[Daemon]:
    """It answers."""
    hostile = installed_plugin(folder / "hostile", "hostile", HOSTILE)
    broken = installed_plugin(folder / "broken", "broken", "raise RuntimeError")  # so that something is `degraded`
    path = environment_of(folder / "data", hostile, broken, folder / "plugins")["PYTHONPATH"]
    settings = {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8", "GEMINI_API_KEY": "none", "GEMINI_DAILY_TOKENS": "1000"}
    with starting(folder) as start:
        yield start(PYTHONPATH=path, **settings).ready()
