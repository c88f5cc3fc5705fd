"""Database engine port: what an operator needs of the database beneath a store, beside what the queue does with it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from secondunit.queue.clock import Clock
from secondunit.queue.value import Value


class Snapshot(Value, frozen=True):
    """A copy of the database, whole and checked: `size` in bytes, `schema` the number of its last migration."""

    path: Path
    size: int
    schema: int
    jobs: int


class DatabaseLook(Value, frozen=True):
    """What a look from outside showed: `whole` is False where there was no time to read all of it.

    `keys` counts access keys, revoked ones too; `last_backup` is where the last copy went, as far as it was noted.
    """

    whole: bool
    schema: int
    keys: int
    size: int
    last_backup: Path | None


class DiskReserve(Protocol):
    """Room set aside on the database's disk, so that there is some to record how running jobs end once it is full."""

    @property
    def held(self) -> bool:
        """Whether the room is set aside; not once it was given up."""
        ...

    @property
    def size(self) -> int:
        """How much room that is, in bytes."""
        ...

    def fill(self) -> bool:
        """Set the room aside again, if twice of it is free; False when it is not. Blocks."""
        ...

    def free(self) -> int:
        """What the disk still has for us, in bytes. Blocks."""
        ...


class Engine(Protocol):
    """The database beneath a store."""

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the programs it consists of, by their names."""
        ...

    @property
    def reserve(self) -> DiskReserve | None:
        """The room set aside for it; None when its disk is not ours to guard."""
        ...

    @property
    def unchecked(self) -> bool:
        """Whether it was opened without a look through all of it, which `watch` has not ended yet."""
        ...

    @property
    def waiting(self) -> int:
        """How many writes wait for their turn."""
        ...

    async def ping(self) -> None:
        """Return once what writes has answered."""
        ...

    async def watch(self, clock: Clock) -> None:
        """Return never; raise StoreBroken once the database failed, is damaged, or is no longer the one opened."""
        ...

    def owns(self, path: Path) -> bool:
        """Whether a file of this name is, or might become, a part of the database. Blocks."""
        ...

    async def snapshot(self, target: Path, secrets: Mapping[str, Collection[str]]) -> Snapshot:
        """Copy the database, which may be in use, to `target`: whole or not at all.

        What these fields (by job type) of the payloads of ended jobs hold is not in it.

        Raises StoreBroken or StoreFull, and then leaves `target` as it was.
        """
        ...
