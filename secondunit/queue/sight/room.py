"""Slot accounting: how many more jobs of each type may start. The worker claims by it, and `explain` tells it. Pure."""

from collections.abc import Collection, Mapping, Sequence

from secondunit.queue.model import JobId
from secondunit.queue.value import Value


class Load(Value, frozen=True):
    """What a worker has on its hands, as its next claim sees it.

    `limits` are the types that it serves, with how many may run at once, `busy` how many do; `total` of `most` over all
    types. `doubtful` are the runs that are not past the point where the daemon died, with their types. `full`: the disk
    had no room for the last claim; `short` says what the machine had too little of. `drained`: an operator wants this
    box to start nothing.
    """

    limits: Mapping[str, int]
    busy: Mapping[str, int]
    total: int
    most: int
    doubtful: Sequence[tuple[JobId, str]] = ()
    draining: bool = False
    full: bool = False
    short: str | None = None
    drained: bool = False

    def room(self, paused: Collection[str]) -> Mapping[str, int]:
        """So many more of each type, leaving out those of which none may start."""
        if self.total >= self.most:
            return {}
        free = {type: n - self.busy.get(type, 0) for type, n in self.limits.items() if type not in paused}
        return {type: n for type, n in free.items() if n > 0}
