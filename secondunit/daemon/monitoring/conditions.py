"""Conditions: what can be wrong with the daemon; the one list that feeds /health, `secondunit_degraded` and ALERT_URL.

A new one is an entry in `condition_kinds.py`; all three outlets follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from secondunit.daemon.monitoring.condition_kinds import KINDS
from secondunit.daemon.monitoring.inspection import Finding, Inspection, Kind
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, Sink


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong: `text` says what, `remedy` what to do, `over` what will be true when it is over.

    `since` it was first seen, or is known to be.
    """

    word: str
    text: str
    since: datetime
    remedy: str
    over: str = ""
    subject: str = ""
    passing: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it is, and of which of several things."""
        return self.word, self.subject

    @property
    def sentence(self) -> str:
        """All of it for a person."""
        return f"{self.text}; {self.remedy}"


class ConditionsSeen(Fact, frozen=True):
    """All that is wrong at this moment, and nothing else."""

    conditions: Sequence[Condition]


class Conditions:
    """Judges each inspection once, announces what it found, and remembers since when."""

    def __init__(self, clock: Clock, emit: Sink) -> None:
        self._clock = clock
        self._emit = emit
        self._since: dict[tuple[str, str], datetime] = {}

    def judge(self, seen: Inspection) -> Sequence[Condition]:
        """What is wrong now, in the order of KINDS."""
        now = self._clock.now()
        found = [self._condition(kind, finding, now) for kind in KINDS for finding in kind.find(seen)]
        self._since = {condition.key: condition.since for condition in found}
        self._emit(ConditionsSeen(found))
        return found

    def _condition(self, kind: Kind, found: Finding, now: datetime) -> Condition:
        since = found.since or self._since.get((kind.word, found.subject), now)
        over = kind.over.format(subject=found.subject)
        return Condition(kind.word, found.text, since, kind.remedy, over, found.subject, found.passing)
