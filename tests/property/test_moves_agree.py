"""Random histories that are moved between stores and go on there; the reference, which never moves, tells the same."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import precondition, rule

from secondunit.daemon.config.settings import Database
from secondunit.daemon.moving import move
from secondunit.queue.stores.postgres.store import open_store as open_postgres
from secondunit.queue.stores.sqlite.store import open_store
from tests.postgres_server import shared_server
from tests.property.both_stores import QUICK, Stores


def untold(*_: object) -> None:
    """Nobody wants to know how far it is."""


class MovedStores(Stores):
    """The reference, and a store that is now in a file, now on a server."""

    moves = 0

    async def opened(self) -> Any:
        self.moves = 0
        self.place = Database(self.folder / "queue.db", "normal")
        return await open_store(self.place.path, synchronous="off")

    @precondition(lambda self: self.moves < 4)
    @rule(far=st.booleans())
    def move(self, far: bool) -> None:
        """To the other engine, or to another file."""
        self.moves += 1
        store = self.other
        generation, secret = store.generation, store.secret
        self.runner.run(store.close())
        before, self.place = self.place, self.elsewhere(far)
        moved = move(before, self.place, untold)
        assert moved.there and moved.there.tables == moved.found.tables
        self.other = self.runner.run(self.reopened())
        assert (self.other.generation, self.other.secret) == (generation, secret), "cursors and signatures go on"
        self.other.listen(self.heard[1].extend)

    def elsewhere(self, far: bool) -> Database:
        if far and self.place.server is None:
            return Database(Path("queue"), server=shared_server().emptied())
        return Database(self.folder / f"queue{self.moves}.db", "normal")

    async def reopened(self) -> Any:
        if self.place.server:
            return await open_postgres(self.place.server)
        return await open_store(self.place.path, synchronous="off")


class TestMovesAgree(MovedStores.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    settings = settings(QUICK, max_examples=4)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
class TestMovesAgreeInManyHistories(MovedStores.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(QUICK, max_examples=25, derandomize=False)
