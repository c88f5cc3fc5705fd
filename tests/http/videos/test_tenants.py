"""Keys that see their own alone: their own jobs answer for a video, and nobody else's."""

from secondunit.queue.outcome import Completed, Failed, JobError, Partial
from tests.http.videos.guide import ANALYZE, NOW, PLACES, ROUTE, SHILIN, URL, VIDEO, Guide


async def test_a_tenant_learns_nothing_of_a_video_that_another_asked_for(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    reader = await harness.key("read", "submit", name="reader")
    maker = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await harness.call("GET", PLACES, status=404, headers=two)
    twin = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    again = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    assert maker != twin == again
    await guide.end(maker, SHILIN)
    assert (await harness.call("GET", PLACES, headers=one))["failed"] == [SHILIN]
    known = await harness.call("POST", ANALYZE, {"url": URL}, headers=one)
    assert (known["job_id"], known["cached"]) == (maker, True)
    under_way = await harness.call("GET", PLACES, status=404, headers=two)
    assert under_way["job_id"] == twin and maker not in str(under_way)
    still = await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two)
    assert still["job_id"] == twin, "its own job takes the result from the store"
    third = await harness.key("submit", name="three")
    for method, path in (("GET", PLACES), ("GET", f"{PLACES}?strategy={NOW}"), ("POST", f"{PLACES}/retry")):
        told = await harness.call(method, path, status=404, headers=third)
        assert "job_id" not in told and maker not in str(told)
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=one))["job_id"] == maker
    assert (await harness.call("GET", PLACES, headers=reader))["video_id"] == VIDEO


async def test_a_tenants_own_job_answers_for_the_video(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    maker = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await guide.end(maker)
    own = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    result = (await harness.store.get(maker)).result
    await harness.settle(own, Completed(result))
    assert (await harness.call("GET", PLACES, headers=two))["routes"] == [ROUTE]


async def test_a_tenant_tries_again_what_its_own_job_missed_and_nothing_of_anothers(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    first = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await guide.end(first, SHILIN)
    await harness.call("POST", f"{PLACES}/retry", status=404, headers=two)
    own = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    assert (await harness.call("POST", f"{PLACES}/retry", status=404, headers=two))["job_id"] == own
    await harness.settle(own, Partial((await harness.store.get(first)).result, [SHILIN]))
    for key, job_id in ((two, own), (one, first)):
        assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=key))["job_id"] == job_id
    await harness.settle(first, Failed(JobError("deterministic", "broken", "it broke")))
    assert (await harness.call("GET", PLACES, headers=one))["failed"] == [SHILIN], "what it found before is there"
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=one))["job_id"] == first
