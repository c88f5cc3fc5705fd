"""Metrics that keep what they are told."""

from dataclasses import dataclass, field

from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.queue.instrumentation import Fact


@dataclass
class FakeMetrics:
    """Keeps what it is told."""

    content_type: str = "text/plain; version=1.0.0; charset=utf-8"
    observed: list[tuple[str, str, int]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def hear(self, fact: Fact) -> None:
        """Keep all, and apart which requests were answered."""
        self.facts.append(fact)
        if isinstance(fact, RequestAnswered):
            self.observed.append((fact.method, fact.route, fact.status))

    async def render(self) -> bytes:
        return b"secondunit_up 1\n"
