"""Expectations of a job in answers: its ETA and start, and the estimate of its run that both come from."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from secondunit.daemon.formats import instant
from secondunit.daemon.sight.forecast import Outlook
from secondunit.queue.sight import estimates

Seconds = Annotated[float, Meta(ge=0)]


class Estimate(Struct, rename="camel", forbid_unknown_fields=True):
    """How long the run of a job takes from start to end, and the CPU time of its programs where earlier ones had some.

    By the median of `runs` earlier ones of its type: of how long these took for each unit of the size that `basis`
    names (`bytes` of the input, or a figure of `stats`), or as such ("runs"). Half of them were nearer than
    `error_seconds`.
    """

    seconds: Seconds
    error_seconds: Seconds
    cpu_seconds: Seconds | None
    basis: str
    runs: Annotated[int, Meta(ge=1)]


def told(outlook: Outlook) -> dict[str, Any]:
    """The fields of answers that tell of it."""
    end, start, whole = outlook.end, outlook.start, outlook.whole
    return {
        "eta_seconds": None if end is None else _figure(end.seconds),
        "eta_error_seconds": None if end is None else _figure(end.error),
        "starts_at": instant(outlook.starts_at),
        "starts_at_error_seconds": None if start is None else _figure(start.error),
        "estimate": None if whole is None else _estimate(whole),
    }


def _estimate(whole: estimates.Estimate) -> Estimate:
    span, cpu = whole.span, whole.cpu
    cpu = None if cpu is None else _figure(cpu)
    return Estimate(_figure(span.seconds), _figure(span.error), cpu, whole.basis, whole.runs)


def _figure(seconds: float) -> float:
    return round(seconds, 3)
