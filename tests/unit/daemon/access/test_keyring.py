"""The keyring: what is found, what is told to those who hold streams, and what is noted."""

import asyncio
import random
from datetime import timedelta

from secondunit.daemon.access.callers import EVERY_SCOPE
from secondunit.daemon.access.key_text import KEY, digest_of, new_key, prefix_of
from secondunit.daemon.access.keyring import Keyring, NewKey
from secondunit.queue.errors import StoreFull
from secondunit.queue.ports.access import AccessKey
from secondunit.queue.stores.memory_access import MemoryAccessKeys
from secondunit.testing.clock import ManualClock


class FullKeys(MemoryAccessKeys):
    """A store whose disk is full."""

    async def used(self, times: object) -> None:
        raise StoreFull("no room")


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
    [listed] = await keys.all()
    assert listed.last_used_at is not None
