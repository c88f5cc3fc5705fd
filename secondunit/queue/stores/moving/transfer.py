"""Transfer of a whole queue: looked through before anything is written, streamed, compared before the commit."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from secondunit.queue.errors import NotMoved
from secondunit.queue.stores.moving.ports import Limits, MoveSource, MoveTarget, Row, Told
from secondunit.queue.stores.moving.survey import FAULTS_NAMED, NUL, Survey, survey, watched
from secondunit.queue.stores.moving.tables import MOVED, MovedTable

REPLACEMENT = "\ufffd"
NUL_REMEDY = "`--replace-nul` puts \ufffd in the place of each NUL, as the PostgreSQL store does with what it is given"


class Difference(NamedTuple):
    """What is not the same in both."""

    what: str
    source: object
    target: object


class NulReplaced:
    """A source in whose text U+FFFD stands for each NUL."""

    def __init__(self, source: MoveSource) -> None:
        self.size = source.size
        self._source = source

    def rows(self, table: MovedTable) -> Iterator[Row]:
        """Its rows."""
        for row in self._source.rows(table):
            yield [
                value.replace(NUL, REPLACEMENT) if isinstance(value, str) and NUL in value else value for value in row
            ]

    def counters(self) -> Mapping[str, int]:
        """Its counters."""
        return self._source.counters()


def looked_through(source: MoveSource, limits: Limits, told: Told) -> Survey:
    """What there is to move; NotMoved names the values that can't be held under the target's limits."""
    found = survey(source, told, "reading", limits)
    if found.faults:
        raise NotMoved(_refusal(found))
    return found


def copied(source: MoveSource, target: MoveTarget, found: Survey, told: Told) -> Survey:
    """Copy what was found, and read it again from the target; NotMoved if anything is not the same there."""
    for table in MOVED:
        target.fill(table, watched(source.rows(table), told, "writing", table.name))
    target.go_on_from(found.counters)
    there = survey(target, told, "comparing")
    if differences := [*_differences(found, there)]:
        listed = "; ".join(f"{one.what} {one.source} became {one.target}" for one in differences)
        raise NotMoved(f"what was written is not what was read, and was undone: {listed}")
    return there


def _differences(found: Survey, there: Survey) -> Iterator[Difference]:
    for name, tally in found.tables.items():
        if tally.rows != there.tables[name].rows:
            yield Difference(f"rows of {name}:", tally.rows, there.tables[name].rows)
        elif tally.digest != there.tables[name].digest:
            yield Difference(f"the digest of {name}:", tally.digest, there.tables[name].digest)
    for name, n in there.counters.items():
        if n != found.counters[name]:
            yield Difference(f"the counter {name}:", found.counters[name], n)


def _refusal(found: Survey) -> str:
    more = "\n  and perhaps more" if len(found.faults) >= FAULTS_NAMED else ""
    listed = "".join(f"\n  {fault}" for fault in found.faults)
    remedy = f"\n{NUL_REMEDY}" if any("NUL" in fault.why for fault in found.faults) else ""
    return f"nothing was written, since the target can't hold all that is there:{listed}{more}{remedy}"
