"""Metric families with bounded series: labels come from closed sets, all else is `other`; none grows for ever."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from math import nan
from typing import Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from secondunit.queue.value import Value

PREFIX = "secondunit"
OTHER = "other"
MOST_SERIES = 1000  # of a family, whoever thinks of new labels
PHASES_KEPT = 16
PHASE = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,39}")
Series = TypeVar("Series", Counter, Gauge, Histogram)


class Described(Value, frozen=True):
    """A family as it is scraped and documented."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Sequence[str]
    text: str


class Families:
    """The registry and all families in it; `catalogue` lists those of ours in their order."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.catalogue: list[Described] = []
        ProcessCollector(namespace=PREFIX, registry=self.registry)

    def counter(self, name: str, text: str, *labels: str) -> "Family[Counter]":
        """What only grows; it is scraped with `_total` behind its name."""
        self._describe(f"{name}_total", "counter", labels, text)
        return Family(Counter(name, text, labels, namespace=PREFIX, registry=self.registry), labelled=bool(labels))

    def gauge(self, name: str, text: str, *labels: str) -> "Family[Gauge]":
        """What stands at a moment."""
        self._describe(name, "gauge", labels, text)
        return Family(Gauge(name, text, labels, namespace=PREFIX, registry=self.registry), labelled=bool(labels))

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> "Family[Histogram]":
        """How long things took, in seconds."""
        self._describe(name, "histogram", labels, text)
        metric = Histogram(name, text, labels, namespace=PREFIX, registry=self.registry, buckets=buckets)
        return Family(metric, labelled=bool(labels))

    def _describe(
        self, name: str, kind: Literal["counter", "gauge", "histogram"], labels: Sequence[str], text: str
    ) -> None:
        self.catalogue.append(Described(f"{PREFIX}_{name}", kind, labels, text))


class Family(Generic[Series]):
    """A metric and its series; to look one up by its labels takes the library longer than to count in it."""

    def __init__(self, metric: Series, *, labelled: bool) -> None:
        self._metric: Series = metric
        self._labelled = labelled
        self._series: dict[tuple[object, ...], Series] = {}

    def labels(self, *values: object) -> Series:
        """The series of these labels; once there are very many, that of all others together."""
        series = self._series.get(values)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                values = (OTHER,) * len(values)
            series = self._series[values] = self._metric.labels(*values) if values else self._metric
        return series

    def clear(self) -> None:
        """Forget every series; one without labels goes on, as not a number."""
        if self._labelled:
            self._metric.clear()
            self._series.clear()
        elif isinstance(self._metric, Gauge):
            self._metric.set(nan)


class KnownLabels:
    """The closed sets of labels that come from job types: the served types, and the first phases of each."""

    def __init__(self, types: Collection[str] = ()) -> None:
        self.types: Collection[str] = types
        self._phases: defaultdict[str, set[str]] = defaultdict(set)

    def type(self, type: str) -> str:
        """The type, or `other` if nothing here serves it."""
        return type if type in self.types else OTHER

    def phase(self, type: str, phase: str) -> str:
        """The phase, or `other` where a type names phases without end, or by what is no word."""
        known = self._phases[self.type(type)]
        if phase not in known:
            if len(known) >= PHASES_KEPT or not PHASE.fullmatch(phase):
                return OTHER
            known.add(phase)
        return phase
