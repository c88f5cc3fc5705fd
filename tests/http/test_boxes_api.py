"""Boxes over HTTP: who shares the queue, what each runs and could run, and the drain of one."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from secondunit.daemon.automation.poller import DUTY as POLLER
from secondunit.daemon.formats import instant
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.duties import Candidate
from secondunit.queue.running.presence import BoxDrained
from secondunit.queue.value import replace
from secondunit.testing.jobs import submit

FIELDS = "name boot address version types running runningByType capacity capacityByType lastSeenAt state poller".split()
ODD = '箱 "%2F" /?#&;+.'


async def entered(harness: Any, *others: BoxRow) -> None:
    """The box that answers, and others, are rows."""
    own = harness.presence.box
    for row in (own, *others):
        await harness.store.boxes.enter(row)


def other(harness: Any, name: str = "there", **fields: Any) -> BoxRow:
    own: BoxRow = harness.presence.box
    return replace(own, name=name, boot=f"{name}/1", **fields)


async def test_every_box_is_listed_with_what_it_runs_and_could_run(harness: Any) -> None:
    await entered(harness, other(harness, limits={"idle": 7}, most=2))
    await submit(harness.store, *"abcd", type="idle")
    await harness.store.claim({"idle": 1}, 1, "boot", timedelta(minutes=1), harness.clock.now())
    await harness.store.claim({"idle": 2}, 2, "there/0", timedelta(minutes=1), harness.clock.now())
    here, there = (await harness.call("GET", "/api/boxes"))["boxes"]
    assert list(here) == FIELDS
    assert here == {
        "name": "here", "boot": "boot", "address": "http://127.0.0.1:8000", "version": "1.2.3",
        "types": ["clip", "idle"], "running": 1, "runningByType": {"idle": 1},
        "capacity": 4, "capacityByType": {"clip": 1, "idle": 3},
        "lastSeenAt": instant(harness.clock.now()), "state": "up", "poller": False,
    }  # fmt: skip
    assert (there["running"], there["capacity"]) == (2, 2), "leases of an earlier boot of its own are the box's, too"


async def test_a_limit_that_an_operator_set_is_what_a_box_could_run(harness: Any) -> None:
    await entered(harness)
    await harness.call("PATCH", "/api/types/idle", {"concurrency": 1})
    [here] = (await harness.call("GET", "/api/boxes"))["boxes"]
    assert (here["capacity"], here["capacityByType"]) == (2, {"clip": 1, "idle": 1})


async def test_a_box_that_is_not_seen_for_its_lease_is_gone(harness: Any) -> None:
    await entered(harness, other(harness, phase="ended"), other(harness, "stops", phase="stopping"))
    found = (await harness.call("GET", "/api/boxes"))["boxes"]
    assert [box["state"] for box in found] == ["up", "draining", "gone"]
    await harness.clock.advance(31)
    await harness.presence.beat()
    found = (await harness.call("GET", "/api/boxes"))["boxes"]
    assert [box["state"] for box in found] == ["up", "gone", "gone"]


async def test_the_box_that_has_the_duty_to_poll_is_the_poller(harness: Any) -> None:
    await entered(harness, other(harness), other(harness, "was", phase="ended"))
    for boot, pollers in (("there/1", [False, True, False]), ("was/1", [False, False, False])):
        candidate = Candidate(boot, timedelta(seconds=6), harness.clock.now())
        await harness.store.duties.take([POLLER], candidate)
        found = (await harness.call("GET", "/api/boxes"))["boxes"]
        assert [box["poller"] for box in found] == pollers
        await harness.clock.advance(6)
        assert harness.clock.now() == candidate.now + candidate.ttl
        await harness.clock.advance(0.1)
        await harness.presence.beat()
        assert not any(box["poller"] for box in (await harness.call("GET", "/api/boxes"))["boxes"])


@pytest.mark.parametrize("name", ["there", ODD])
async def test_another_box_is_drained_and_resumed_by_its_row(harness: Any, name: str) -> None:
    await entered(harness, other(harness, name))
    path = f"/api/boxes/{quote(name, safe='')}"
    for verb, state, drained in (("drain", "draining", True), ("drain", "draining", True), ("resume", "up", False)):
        box = await harness.call("POST", f"{path}/{verb}")
        assert (box["name"], box["state"]) == (name, state)
        rows = {row.name: row.drained for row in await harness.store.boxes.all()}
        assert rows == {"here": False, name: drained}
    assert harness.held_back == [False], "it is that box that holds itself back, at its next heartbeat"


async def test_the_box_that_answers_is_drained_at_once(harness: Any) -> None:
    await entered(harness)
    await harness.call("POST", "/api/boxes/here/drain")
    assert harness.held_back == [False, True]
    await harness.presence.beat()
    await harness.call("POST", "/api/boxes/here/resume")
    assert harness.held_back == [False, True, False]
    facts = [fact for fact in harness.metrics.facts if isinstance(fact, BoxDrained)]
    assert facts == [BoxDrained("here", True), BoxDrained("here", False)]


async def test_who_drained_which_box_is_in_the_audit_trail(harness: Any) -> None:
    await entered(harness, other(harness))
    await harness.call("POST", "/api/boxes/there/drain")
    await harness.call("POST", "/api/boxes/there/resume")
    entries = (await harness.call("GET", "/api/audit"))["entries"]
    assert [(one["action"], one["target"]) for one in entries] == [("box resume", "there"), ("box drain", "there")]


async def test_no_box_is_drained_that_is_not_there(harness: Any) -> None:
    await entered(harness)
    for verb in ("drain", "resume"):
        problem = await harness.call("POST", f"/api/boxes/nobody/{verb}", status=404)
        assert "'nobody'" in problem["detail"] and "/api/boxes" in problem["detail"]
    assert (await harness.call("GET", "/api/audit"))["entries"] == []


async def test_readers_see_boxes_and_operators_alone_drain_them(harness: Any) -> None:
    await entered(harness)
    reader, operator = await harness.key("read"), await harness.key("admin")
    assert len((await harness.call("GET", "/api/boxes", headers=reader))["boxes"]) == 1
    await harness.call("POST", "/api/boxes/here/drain", headers=reader, status=403)
    await harness.call("POST", "/api/boxes/here/drain", headers=operator)
    submitter = await harness.key("submit")
    await harness.call("GET", "/api/boxes", headers=submitter, status=403)


async def test_a_type_that_only_another_box_knows_is_refused_with_its_name(harness: Any) -> None:
    await entered(
        harness, other(harness, limits={"ours": 1}), other(harness, "dead", limits={"ours": 1}, phase="ended")
    )
    job = {"type": "ours", "payload": {}}
    problem = await harness.call("POST", "/api/jobs", job, status=422)
    assert problem["detail"].endswith("known are clip, idle, paid; submit it to a box that runs it: there")
    fields = await harness.refused("POST", "/api/jobs/batch", {"jobs": [{"type": "idle", "payload": {}}, job]})
    assert fields["jobs.1.type"].endswith("submit it to a box that runs it: there")
    nowhere = await harness.call("POST", "/api/jobs", {**job, "type": "nosuch"}, status=422)
    assert nowhere["detail"].endswith("known are clip, idle, paid")
