"""Move of a queue from one database to another, of either engine: who may, under which locks, and what is told of it.

What PostgreSQL needs is imported where a URL asks for it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from secondunit.daemon.config.settings import Database
from secondunit.daemon.config.start_faults import nearest
from secondunit.daemon.config.url_passwords import passwords_in
from secondunit.daemon.process.lock import Locked, box_lock
from secondunit.queue.errors import NotMoved
from secondunit.queue.payloads.redaction import without
from secondunit.queue.stores.moving.ports import Limits, MoveSource, MoveTarget, Told
from secondunit.queue.stores.moving.survey import Survey
from secondunit.queue.stores.moving.transfer import NulReplaced, copied, looked_through
from secondunit.queue.stores.sqlite import moving as sqlite
from secondunit.queue.stores.sqlite.ballast import free_bytes


class MovedQueue(NamedTuple):
    """What was found at the source, whose size is in bytes, and what is at the target: nothing after a dry run."""

    size: int
    found: Survey
    there: Survey | None


def move(source: Database, target: Database, told: Told, *, dry: bool = False, replace_nul: bool = False) -> MovedQueue:
    """Move all that is in one database to another, which has nothing in it. Blocks.

    The source is read only. The target is there as a whole, or as it was: NotMoved, StoreBroken, StoreFull say why.
    """
    _refuse_same(source, target)
    with _reading(source) as opened:
        came: MoveSource = NulReplaced(opened) if replace_nul else opened
        if target.server is None:
            return _to_file(came, target, told, dry=dry)
        from secondunit.queue.stores.postgres import moving as postgres

        with postgres.writing(target.server, str(target), dry=dry) as made:
            return _moved(came, made, made.limits, told, dry=dry)


def struck(text: str, *urls: str) -> str:
    """The text without the passwords of these URLs."""
    return without(text, {secret for url in urls for secret in passwords_in(url)})


def _to_file(source: MoveSource, target: Database, told: Told, *, dry: bool) -> MovedQueue:
    _refuse_place(target)
    with ExitStack() as stack:
        if dry:
            sqlite.refuse_unless_empty(target.path)
            went = _moved(source, None, sqlite.LIMITS, told, dry=True)
            _refuse_full(went.found, target)
            return went
        stack.enter_context(_alone(target))
        made = stack.enter_context(sqlite.writing(target.path))
        return _moved(source, made, made.limits, told, dry=False)


def _moved(source: MoveSource, target: MoveTarget | None, limits: Limits, told: Told, *, dry: bool) -> MovedQueue:
    found = looked_through(source, limits, told)
    there = None if dry or target is None else copied(source, target, found, told)
    return MovedQueue(source.size, found, there)


@contextmanager
def _reading(database: Database) -> Iterator[MoveSource]:
    if database.server is None:
        if not database.path.is_file():
            raise NotMoved(f"there is no queue at {database.path}")
        with _alone(database), sqlite.reading(database.path) as source:
            yield source
        return
    from secondunit.queue.stores.postgres import moving as postgres

    with postgres.reading(database.server, str(database)) as queue:
        yield queue


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Under the lock of a file; NotMoved says which daemon has it."""
    with ExitStack() as stack:
        try:
            database.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(box_lock(database.path))
        except Locked as error:
            raise NotMoved(
                f"{database} is in use by {error.holder or 'another process'}: stop that daemon first"
                " (`systemctl stop secondunit`)"
            ) from None
        yield


def _refuse_same(source: Database, target: Database) -> None:
    if source.server and target.server:
        from secondunit.queue.stores.postgres import moving as postgres

        same = postgres.same(source.server, target.server, (str(source), str(target)))
    else:
        same = not source.server and not target.server and source.path.resolve() == target.path.resolve()
    if same:
        raise NotMoved(f"{source} can't be moved to itself")


def _refuse_place(target: Database) -> None:
    """NotMoved where no file can be made, or none should be."""
    path, place = target.path, nearest(target.path.absolute().parent)
    if path.is_dir():
        raise NotMoved(f"{path} is a folder: name a file in it, such as {path / 'queue.db'}")
    if path.name.endswith(sqlite.SIDE_FILES):
        raise NotMoved(f"{path} is what SQLite calls a file beside a database, and may be lost: name another")
    if not place.is_dir():
        raise NotMoved(f"{path} can't be made: {place} is a file, not a folder; name another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise NotMoved(f"{path} can't be made: nothing can be written in {place} by this account; name another place")


def _refuse_full(found: Survey, target: Database) -> None:
    needed, free = sum(tally.size for tally in found.tables.values()), room_for(target)
    if free is not None and free < needed:
        raise NotMoved(
            f"{target} needs more than {needed:,} bytes, and {free:,} are free there: free some, or name another"
        )


def room_for(database: Database) -> int | None:
    """The bytes that are free where a file would be made; None for a server's disk."""
    return free_bytes(nearest(database.path.absolute().parent)) if database.server is None else None
