"""Two boxes in active mode, on one queue and one backend without claims: each failed analysis is taken over once."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_server import PostgresServer, rows, started

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow, pytest.mark.timeout(150)]
IDS = [f"a-{n}" for n in range(3)]
POLLER = "select split_part(boot, '/', 1), term from duties where name = 'poller'"


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


async def test_of_two_boxes_one_polls_and_the_other_follows_when_it_is_killed(
    world: Any, gemini: str, server: PostgresServer, tmp_path: Path, until: Any
) -> None:
    queue = server.database()
    shared = {
        "QUEUE_URL": queue,
        "LEASE_SECONDS": "5",
        "TYPES": "analyze",
        "CONCURRENCY_ANALYZE": "2",
    }
    boxes = {box: await world.activate(gemini, BOX=box, DATA_DIR=str(tmp_path / box), **shared) for box in ("a", "b")}

    def told(box: Any, path: str) -> Any:
        return box.call("GET", path).body

    async def told_of(box: Any, path: str) -> Any:
        return await asyncio.to_thread(told, box, path)

    async def polls(name: str) -> None:
        async with asyncio.timeout(20):
            while (await told_of(boxes[name], "/health"))["poller"] != name:
                await asyncio.sleep(0.05)

    found: Any = await asyncio.to_thread(rows, queue, POLLER)
    [(first, term)] = found
    await polls(first)
    other = "b" if first == "a" else "a"
    standby = await told_of(boxes[other], "/health")
    assert (standby["poller"], standby["lastPoll"], standby["status"]) == (first, None, "ok")
    state = await told_of(boxes[other], "/api/backend")
    assert not state["polled"] and f"box {first} polls" in state["idle"]

    for id in IDS[:2]:
        await world.backend.add(id, world.site.url(f"/clip.mp4?v={id}"))
    await until(lambda: world.gemini.asked)  # in the middle of them
    boxes[first].signal(signal.SIGKILL)
    await asyncio.to_thread(boxes[first].ended)
    for id in IDS[2:]:
        await world.backend.add(id, world.site.url(f"/clip.mp4?v={id}"))
    await polls(other)
    world.box = boxes[other]
    await world.completed(*IDS)
    await world.delivered()
    [(holder, later)] = await asyncio.to_thread(rows, queue, POLLER)
    assert (holder, later) == (other, term + 1)
    taken: Any = await asyncio.to_thread(rows, queue, "select dedupe_key, count(*) from jobs group by 1")
    assert sorted(key.split()[-1] for key, _ in taken) == IDS and {n for _, n in taken} == {1}
    for id in IDS:
        assert [entry["status"] for entry in world.backend.analysis(id)["log"]].count("completed") == 1
