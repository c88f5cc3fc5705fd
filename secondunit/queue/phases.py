"""Phases of a run, one after the other as it entered them; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from secondunit.queue.value import Value, replace

KEPT = 20


class Phase(Value, frozen=True):
    """A stretch of a run under one name; `took` is None while it goes on."""

    name: str
    at: datetime
    took: timedelta | None = None


def entered(phases: Sequence[Phase], name: str | None, now: datetime) -> tuple[Phase, ...]:
    """The phases after the run went on to another, or to none; of too many the last ones."""
    done = left(phases, now)
    return (*done, Phase(name, now))[-KEPT:] if name else done


def left(phases: Sequence[Phase], now: datetime) -> tuple[Phase, ...]:
    """The phases once the last of them is over."""
    if not phases:
        return ()
    return tuple(replace(one, took=max(now - one.at, timedelta(0))) if one.took is None else one for one in phases)
