"""W3C Trace Context: the `traceparent` that a caller sends, kept among a job's labels, and the one that is sent on.

https://www.w3.org/TR/trace-context-2/
"""

import re
from collections.abc import Callable, Mapping, Sequence

from secondunit.queue.store import Delivery
from secondunit.queue.value import Value

HEADER = "traceparent"
FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?")
SAMPLED = 1

SentOn = Callable[[Delivery], str | None]


class TraceParent(Value, frozen=True):
    """A caller's trace, its span there, and whether it is recorded."""

    trace: int
    span: int
    sampled: bool

    def __str__(self) -> str:
        """As it is sent."""
        return f"00-{self.trace:032x}-{self.span:016x}-{int(self.sampled):02x}"


def read(values: Sequence[str]) -> TraceParent | None:
    """What a request's headers of this name say; None for none, two, or one that is not valid.

    One of a later version is read as far as this one goes, as the standard has it.
    """
    found = FORM.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace, 16) or not int(span, 16):
        return None
    return TraceParent(int(trace, 16), int(span, 16), bool(int(flags, 16) & SAMPLED))


def labels(values: Sequence[str]) -> Mapping[str, str]:
    """The label by which a job that was asked for under these headers keeps its trace."""
    found = read(values) if values else None
    return {} if found is None else {HEADER: str(found)}


def kept(labels: Mapping[str, str]) -> TraceParent | None:
    """The trace of a job with these labels, if its submitter named one."""
    return read([labels[HEADER]]) if HEADER in labels else None


def passed_on(delivery: Delivery) -> str | None:
    """The submitter's own `traceparent`, for a receiver, where no traces are made here."""
    return delivery.notice.labels.get(HEADER)


def headers(sent_on: SentOn, delivery: Delivery) -> Mapping[str, str]:
    """The header of a delivery, if it is a part of a trace."""
    value = sent_on(delivery)
    return {} if value is None else {HEADER: value}
