"""Data locality: which box a job is bound to, by where its inputs lie; and what of the queue a box claims. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from secondunit.queue.ids import ran_on
from secondunit.queue.model import Job, Submission
from secondunit.queue.value import Value, replace


class Locality(Value, frozen=True):
    """This `box`, the `shared` folders that are the same on every box, and the limits of types `overall` boxes.

    Where no other daemon may have the queue it is `alone`: it runs every job, whatever name the box has, or had.
    """

    box: str
    shared: Sequence[str] = ()
    overall: Mapping[str, int] = {}
    alone: bool = True

    @property
    def claims_for(self) -> str | None:
        """The box whose jobs a claim takes beside those of any; None: all."""
        return None if self.alone else self.box

    def placed(self, submission: Submission, inputs: Collection[str]) -> Submission:
        """A submission that is taken here, bound to this box if one of its inputs is a file of it alone."""
        return replace(submission, box=self.box) if any(map(self.is_local, inputs)) else submission

    def is_local(self, path: str) -> bool:
        """Whether it is a file of this box alone, judged by its name; URLs are no files."""
        names = _names(path)
        return path.startswith("/") and not any(names[: len(top)] == top for top in map(_names, self.shared))

    def recorded(self, path: str) -> str:
        """A path in records that all boxes share: with the box, if it is a file of this one alone."""
        return path if self.alone or not self.is_local(path) else f"{quote(self.box, safe='')}:{path}"

    def own(self, recorded: str) -> str | None:
        """The path that was recorded so, here or without a box; None if another box recorded it."""
        box, colon, path = recorded.partition(":")
        if recorded.startswith("/") or path.startswith("//") or not colon:
            return recorded
        return path if self.alone or unquote(box) == self.box else None

    def home(self, job: Job, inputs: Collection[str], parents: Sequence[Job]) -> str | None:
        """The box where a job's inputs lie, once they are known; None where any box has them.

        What a parent's result names, or the folder of, lies where that parent ran last.
        """
        for path in filter(self.is_local, inputs):
            for parent in parents:
                if parent.runs and parent.runs[-1].box and _told_of(parent.result, path):
                    return parent.runs[-1].box
        return job.box

    def elsewhere(self, box: str | None) -> bool:
        """Whether a job that is bound so does not run here."""
        return not self.alone and box not in (None, self.box)

    def holds(self, job: Job) -> bool:
        """Whether a running job has its lease of this box, or of a worker to whom boxes are nothing."""
        return self.alone or job.lease is None or ran_on(job.lease.boot) in (None, self.box)


ANYWHERE = Locality("")


def _told_of(result: Any, path: str) -> bool:
    """Whether a result names the path, or a folder that it lies in."""
    names, left = _names(path), [result]
    while left:
        match left.pop():
            case str() as text if text.startswith("/") and (part := _names(text)) and names[: len(part)] == part:
                return True
            case Mapping() as fields:
                left += fields.values()
            case list() | tuple() as values:
                left += values
    return False


def _names(path: str) -> Sequence[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
