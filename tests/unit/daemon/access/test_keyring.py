"""The keyring: what is found, what is told to those who hold streams, and what is noted."""

import asyncio
import random
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from secondunit.daemon.access.callers import EVERY_SCOPE
from secondunit.daemon.access.key_text import KEY, digest_of, new_key, prefix_of
from secondunit.daemon.access.keyring import EVERY, FRESH, Keyring, NewKey
from secondunit.queue.errors import StoreFull
from secondunit.queue.ports.access import AccessKey
from secondunit.queue.stores.memory_access import MemoryAccessKeys
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NOW

T = TypeVar("T")


class FullKeys(MemoryAccessKeys):
    """A store whose disk is full until there is `room`."""

    room = False

    async def used(self, times: Mapping[str, datetime]) -> None:
        if not self.room:
            raise StoreFull("no room")
        await super().used(times)


def ring(setting: str | None = None, store: MemoryAccessKeys | None = None, seed: int = 7) -> Keyring:
    """A keyring on a clock that tests move."""
    return Keyring(store or MemoryAccessKeys(), setting, ManualClock(), random.Random(seed))


def test_a_key_has_a_public_part_and_256_random_bits() -> None:
    key = new_key(random.Random(1))
    assert KEY.fullmatch(key) and len(key) == 3 + 8 + 1 + 43
    assert prefix_of(key) == key[3:11]
    assert [prefix_of(wrong) for wrong in ("", key + "\n", key[1:], "su_ABCDEFGH_" + "x" * 43)] == [None] * 4


async def test_no_key_is_found_where_none_is_set() -> None:
    keys = ring()
    assert keys.find("") is None and not keys.exist
    assert ring("").exist


async def test_the_key_of_the_settings_has_every_scope() -> None:
    caller = ring("secret").find("secret")
    assert caller is not None and (caller.scopes, caller.tenant, caller.prefix) == (EVERY_SCOPE, None, None)


async def test_a_key_is_found_again_by_another_life_of_the_daemon() -> None:
    store = MemoryAccessKeys()
    text, made = await ring(store=store).issue(NewKey("a", ["submit"], types=["hls"], rate="1/day"))
    keys = ring(store=store)
    await keys.load()
    caller = keys.find(text)
    assert caller is not None
    assert (caller.name, caller.tenant, caller.types, caller.rate) == ("a", made.prefix, {"hls"}, "1/day")


async def test_a_prefix_is_never_given_twice() -> None:
    store = MemoryAccessKeys()
    _, first = await ring(store=store).issue(NewKey("a", ["read"]))
    _, second = await ring(store=store).issue(NewKey("b", ["read"]))  # the same chance
    assert first.prefix != second.prefix and len(await store.all()) == 2


async def test_one_digest_is_no_use_under_another_prefix() -> None:
    store = MemoryAccessKeys()
    text = new_key(random.Random(3))
    await store.add(AccessKey("aaaaaaaa", digest_of(text), "a", ["read"], ManualClock().now()))
    keys = ring(store=store)
    await keys.load()
    assert keys.find(text) is None


async def test_those_who_hold_something_for_a_key_hear_of_its_end() -> None:
    clock, told = ManualClock(), list[str]()
    keys = Keyring(MemoryAccessKeys(), None, clock, random.Random(7))
    keys.listen(told.append)
    _, soon = await keys.issue(NewKey("a", ["read"], expires_at=clock.now() + timedelta(seconds=2)))
    _, later = await keys.issue(NewKey("b", ["read"]))
    running = asyncio.ensure_future(keys.run())
    await clock.advance(1)
    assert told == [""]  # who had none
    await clock.advance(1)
    assert told == ["", soon.prefix]
    running.cancel()
    await keys.revoke(later.prefix)
    assert told == ["", soon.prefix, later.prefix]
    assert await keys.revoke("nobodys2") is None
    assert told == ["", soon.prefix, later.prefix]


async def test_uses_that_could_not_be_noted_are_noted_later() -> None:
    store = FullKeys()
    keys = ring(store=store)
    text, _ = await keys.issue(NewKey("a", ["read"]))
    keys.find(text)
    await keys.note()
    [stored], [listed] = await store.all(), await keys.all()
    assert (stored.last_used_at, listed.last_used_at) == (None, NOW), "shown, though there was no room for it"
    store.room = True
    await keys.note()
    assert [key.last_used_at for key in await store.all()] == [NOW]


async def test_who_revokes_a_key_is_told_when_it_was_last_used_and_it_stays_known() -> None:
    store = MemoryAccessKeys()
    keys = ring(store=store)
    text, made = await keys.issue(NewKey("a", ["read"]))
    keys.find(text)
    revoked = await keys.revoke(made.prefix)
    [stored] = await store.all()
    assert revoked is not None and (revoked.last_used_at, stored.last_used_at) == (NOW, NOW)


def two_daemons() -> tuple[Keyring, Keyring, ManualClock]:
    store, clock = MemoryAccessKeys(), ManualClock()
    a, b = (Keyring(store, None, clock, random.Random(seed), shared=True) for seed in (1, 2))
    return a, b, clock


async def done(changing: Coroutine[Any, Any, T], clock: ManualClock) -> T:
    """What a change comes to, which waits for the other daemons; not before they have to look."""
    task = asyncio.ensure_future(changing)
    while not clock.sleepers and not task.done():
        await asyncio.sleep(0)
    assert not task.done()
    await clock.advance(FRESH)
    return await task


async def test_a_key_of_one_daemon_is_one_at_every_other_at_once() -> None:
    a, b, clock = two_daemons()
    await done(a.issue(NewKey("first", ["read"])), clock)
    await b.catch_up()
    text, _ = await a.issue(NewKey("a", ["submit"]))
    await b.catch_up()
    assert b.find(text) is None, "it has just looked"
    caller = await b.caller(text)
    assert caller is not None and caller.name == "a" and b.exist


async def test_a_first_key_locks_every_daemon_before_it_is_told() -> None:
    a, b, clock = two_daemons()
    told = list[str]()
    b.listen(told.append)
    await b.catch_up()
    await done(a.issue(NewKey("first", ["read"])), clock)
    assert not b.exist
    await b.catch_up()
    assert b.exist and told == [""]


async def test_a_key_that_one_daemon_revokes_is_none_at_any_once_that_is_told() -> None:
    a, b, clock = two_daemons()
    text, made = await done(a.issue(NewKey("a", ["read"])), clock)
    told = list[str]()
    b.listen(told.append)
    assert await b.caller(text)
    await clock.advance(FRESH)
    await b.catch_up()
    await done(a.revoke(made.prefix), clock)
    await b.catch_up()
    assert b.find(text) is None and await b.caller(text) is None
    assert told == ["", made.prefix], "its streams end there, too"


async def test_streams_at_another_daemon_end_though_nobody_calls_it() -> None:
    a, b, clock = two_daemons()
    text, made = await done(a.issue(NewKey("a", ["read"])), clock)
    assert await b.caller(text)
    told = list[str]()
    b.listen(told.append)
    running = asyncio.ensure_future(b.run())
    await done(a.revoke(made.prefix), clock)
    await clock.advance(EVERY)
    assert told == [made.prefix]
    running.cancel()


class CountedKeys(MemoryAccessKeys):
    """A store that counts how often it is asked."""

    asked = 0

    async def moves(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        return await super().moves()


async def test_many_callers_look_together_and_what_was_just_looked_at_is_good() -> None:
    store, clock = CountedKeys(), ManualClock()
    keys = Keyring(store, None, clock, random.Random(1), shared=True)
    await clock.advance(FRESH)
    await asyncio.gather(*(keys.catch_up() for _ in range(100)))
    await keys.catch_up()
    assert store.asked <= 2
    await clock.advance(FRESH)
    await keys.catch_up()
    assert store.asked <= 3


async def test_where_there_is_one_daemon_nobody_looks() -> None:
    store, clock = CountedKeys(), ManualClock()
    keys = Keyring(store, None, clock, random.Random(1))
    await clock.advance(9)
    await keys.catch_up()
    assert await keys.caller(new_key(random.Random(1))) is None
    assert store.asked == 0
