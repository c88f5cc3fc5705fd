"""Snapshot that an explanation is made of: a load, the line, what runs here and on other boxes. A value."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from secondunit.queue.model import Job
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sight.port import Line
from secondunit.queue.sight.room import Load
from secondunit.queue.state import within
from secondunit.queue.value import Value


class Seen(Value, frozen=True):
    """What a claim looks at, at `now`: `running` jobs, and the `line` before the job that is explained.

    `proven` are the types of which a job has completed. `trouble` says why what the type asks outside can't be used
    now, `used_up` that its budget is. `disk` tells how the database's disk stands. `parents` are those of the job. It
    runs `elsewhere`, on the box that is `home` to its input, if that one was ever seen. Of a type no more than
    `overall` run on all boxes together; `beyond` are those that run on others.
    """

    now: datetime
    load: Load
    paused: frozenset[str] = frozenset()
    running: Sequence[Job] = ()
    suspects: Sequence[Job] = ()
    proven: frozenset[str] = frozenset()
    line: Line = Line()
    trouble: str | None = None
    used_up: str | None = None
    disk: str = ""
    parents: Sequence[Job] = ()
    elsewhere: bool = False
    home: BoxRow | None = None
    overall: Mapping[str, int] = {}
    beyond: Sequence[Job] = ()

    def room(self) -> Mapping[str, int]:
        """So many more of each type may start, with regard to the other boxes."""
        left = within(self.load.room(self.paused), self.overall, lambda type: len(self.everywhere(type)))
        return {type: n for type, n in left.items() if n > 0}

    def everywhere(self, type: str) -> Sequence[Job]:
        """What runs of a type on all boxes."""
        return [job for job in (*self.running, *self.beyond) if job.type == type]

    def full(self, type: str) -> int | None:
        """The limit over all boxes, if it is that which is reached."""
        most = self.overall.get(type)
        return most if most is not None and len(self.everywhere(type)) >= most else None
