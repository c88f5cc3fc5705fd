"""Batches: the list, the graph of one, what is cancelled and retried of it, and by whom."""

from typing import Any

from secondunit.daemon.dashboard import layers
from secondunit.queue.model import Batch, Bonds
from secondunit.queue.outcome import Failed, JobError
from secondunit.testing.jobs import NOW, new
from tests.http.keys import API_KEY

BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))
IDS = [f"job_{letter * 26}" for letter in "abcdefghij"]


async def submitted(harness: Any, *jobs: tuple[str, list[str]], headers: Any = None, name: str = "films") -> Any:
    body = {"name": name, "jobs": [{"type": "idle", "payload": {}, "ref": ref, "dependsOn": on} for ref, on in jobs]}
    made = await harness.call("POST", "/api/jobs/batch", body, status=201, headers=headers)
    return made["batchId"], {job["ref"]: job["jobId"] for job in made["jobs"]}


async def test_a_batch_is_listed_and_its_graph_drawn_with_a_link_for_each_job(visit: Any) -> None:
    browser = await visit()
    batch, ids = await submitted(browser.harness, ("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]))
    await browser.harness.start(ids["a"])
    page = await browser.open("/batches")
    assert page.says("films") and page.says("3 queued 1 running") and page.all("a", href=f"/batches/{batch}")
    page = await browser.open(f"/batches/{batch}")
    assert len(page.all("path")) == 4 and page.says(f"secondunit batches show {batch}")
    nodes = {tag.attributes["href"]: tag.attributes["class"] for tag in page.all("a") if "node" in str(tag.attributes)}
    assert nodes == {f"/jobs/{id}": f"node status {'running' if ref == 'a' else 'queued'}" for ref, id in ids.items()}
    lefts = [float(tag.attributes["x"]) for tag in page.all("rect")]
    assert lefts[0] < lefts[1] == lefts[2] < lefts[3]


async def test_a_batch_of_large_jobs_is_drawn_with_all_of_them(visit: Any) -> None:
    browser = await visit()
    await browser.harness.store.add(
        [new(id, payload={"x": "y" * (1 << 20)}, batch="b") for id in IDS], batch=Batch("b", NOW)
    )
    page = await browser.open("/batches/b")
    assert {tag.attributes["href"] for tag in page.all("a") if "node" in str(tag.attributes)} == {
        f"/jobs/{id}" for id in IDS
    }


async def test_what_is_left_is_cancelled_and_what_failed_retried_after_a_question_with_its_number(visit: Any) -> None:
    browser = await visit()
    batch, ids = await submitted(browser.harness, ("a", []), ("b", ["a"]), ("c", []))
    page = await browser.open(f"/batches/{batch}")
    assert page.all("a", href=f"/batches/{batch}?ask=cancel") and not page.all("a", href=f"/batches/{batch}?ask=retry")
    await browser.harness.settle(ids["a"], BROKEN)
    assert (await browser.open(f"/batches/{batch}?ask=cancel")).says("Cancel the job that is left?")
    page = await browser.send(f"/batches/{batch}", ("do", "cancel"))
    assert browser.url == f"/batches/{batch}" and page.says("1 cancelled.")
    assert (await browser.open(f"/batches/{batch}?ask=retry")).says("Retry the 2 jobs that failed?")
    page = await browser.send(f"/batches/{batch}", ("do", "retry"))
    assert page.says("2 retried.") and page.says("2 queued 1 cancelled")
    trail = [(one.action, one.target, one.detail) for one in await browser.harness.store.audit.find(None, 9)]
    assert trail == [("batch retry", batch, "2 done, 0 refused"), ("batch cancel", batch, "1 done, 0 refused")]
    page = await browser.send(f"/batches/{batch}", ("do", "delete"), status=422)
    assert page.says("should be retry or cancel")


async def test_a_tenant_sees_its_own_batches_alone(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    mine, theirs = await browser.harness.key("submit", name="me"), await browser.harness.key("submit", name="you")
    others, _ = await submitted(browser.harness, ("a", []), headers=theirs, name="others")
    own, _ = await submitted(browser.harness, ("a", []), headers=mine, name="own")
    found = await browser.harness.call("GET", "/api/batches", headers=mine)
    assert [one["batchId"] for one in found["batches"]] == [own]
    await browser.sign_in(mine["Authorization"].removeprefix("Bearer "))
    page = await browser.open("/batches")
    assert page.says("own") and not page.says("others")
    await browser.open(f"/batches/{others}", status=404)
    await browser.send(f"/batches/{others}", ("do", "cancel"), status=404)
    reader = await browser.harness.key("read", name="reader")
    await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    page = await browser.open(f"/batches/{others}")
    assert page.says("1 queued") and not [tag for tag in page.all("a") if "ask=" in tag.attributes["href"]]
    await browser.send(f"/batches/{others}", ("do", "cancel"), status=403)


async def test_the_list_has_pages_and_so_has_the_api(visit: Any) -> None:
    browser = await visit()
    assert (await browser.open("/batches")).says("There is no batch.")
    ids = [(await submitted(browser.harness, ("a", []), name=f"n{n}"))[0] for n in range(21)]
    page = await browser.open("/batches")
    [older] = page.all("a", rel="next")
    assert len(page.all("tr")) == 21, "with the head"
    page = await browser.open(older.attributes["href"])
    assert page.says("n0") and len(page.all("tr")) == 2
    first = await browser.harness.call("GET", "/api/batches?limit=20")
    assert (first["batches"][0]["batchId"], first["batches"][0]["byStatus"]) == (ids[-1], {"queued": 1})
    then = await browser.harness.call("GET", f"/api/batches?cursor={first['nextCursor']}")
    assert ([one["batchId"] for one in then["batches"]], then["nextCursor"]) == ([ids[0]], None)


async def test_a_large_batch_is_told_by_levels_and_each_job_is_found(visit: Any) -> None:
    browser = await visit()
    jobs: list[tuple[str, list[str]]] = [(f"up{n}", []) for n in range(300)] + [
        (f"down{n}", [f"up{n}"]) for n in range(300)
    ]
    batch, ids = await submitted(browser.harness, *jobs)
    page = await browser.open(f"/batches/{batch}")
    assert not page.all("svg") and page.says("Level 2 300 300 queued") and not page.all("a", href=f"/jobs/{ids['up0']}")
    page = await browser.open(f"/batches/{batch}?level=2")
    assert page.all("a", href=f"/jobs/{ids['down0']}") and not page.all("a", href=f"/jobs/{ids['down100']}")
    [following] = page.all("a", rel="next")
    page = await browser.open(following.attributes["href"])
    assert page.all("a", href=f"/jobs/{ids['down100']}")
    for nonsense in ("level=0", "level=9", "level=x", "level=99999999999", "level=1&from=x"):
        await browser.open(f"/batches/{batch}?{nonsense}")


def test_the_level_of_a_job_is_that_of_the_longest_line_before_it_whatever_the_order() -> None:
    jobs = [new("c", bonds=Bonds(["a", "b", "gone"])), new("b", bonds=Bonds(["a"])), new("a"), new("x")]
    rows = layers.levels([change.job for change in jobs])
    assert [sorted(job.id for job in row) for row in rows] == [["a", "x"], ["b"], ["c"]]
    drawing = layers.drawn(rows)
    assert drawing and len(drawing.arrows) == 3 and {node.left for node in drawing.nodes} == {10, 230, 450}
    corners = {(node.left, node.top) for node in drawing.nodes}
    assert len(corners) == 4, "no two lie on each other"
    [through] = [path for path in drawing.arrows if "H" in path]
    y = float(through.partition("H")[0].rpartition(" ")[2])
    [middle] = [node for node in drawing.nodes if node.left == 230]
    assert not middle.top <= y <= middle.top + layers.HEIGHT, "an arrow crosses no job"
    assert layers.levels([]) == [] and layers.drawn([[new(f"j{n}").job for n in range(81)]]) is None
