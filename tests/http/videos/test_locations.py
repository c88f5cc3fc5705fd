from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from secondunit.handlers.locations.strategy import latest_key, location_strategy
from secondunit.queue import state
from secondunit.queue.outcome import Postpone
from tests.http.videos.guide import ANALYZE, HOW, LAST_UPDATED, MODEL, NOW, PLACES, ROUTE, SHILIN, URL, VIDEO, Guide


async def test_a_result_is_read_as_a_map(guide: Guide) -> None:
    await guide.harness.call("GET", PLACES, status=404)
    await guide.end((await guide.ask())["job_id"])
    assert await guide.harness.call("GET", PLACES) == {"video_id": VIDEO, "routes": [ROUTE], **HOW}
    head = await guide.harness.raw("HEAD", PLACES)
    assert (head.status, await head.read()) == (200, b"")


async def test_a_partial_result_names_what_failed(guide: Guide) -> None:
    await guide.end((await guide.ask())["job_id"], SHILIN)
    assert await guide.harness.call("GET", PLACES) == {
        "video_id": VIDEO, "routes": [ROUTE], "failed": [SHILIN], "retryable": True,
        "last_updated": LAST_UPDATED, **HOW,
    }  # fmt: skip


async def test_what_was_asked_without_a_language_comes_before_the_latest_and_a_named_one_before_both(
    guide: Guide,
) -> None:
    german = location_strategy(MODEL, "de")
    await guide.end((await guide.ask(url=URL, params={"language": "de"}))["job_id"], SHILIN, strategy=german)
    assert "failed" in await guide.harness.call("GET", PLACES)
    await guide.harness.call("GET", f"{PLACES}?strategy={NOW}", status=404)
    await guide.end((await guide.ask())["job_id"])
    await guide.harness.store.cache.drop(latest_key(VIDEO))
    assert "failed" not in await guide.harness.call("GET", PLACES)
    assert "failed" in await guide.harness.call("GET", f"{PLACES}?strategy={german}")
    await guide.harness.call("GET", f"{PLACES}?strategy=00000000", status=404)


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("strategy=latest", "strategy", "should match"),
        ("strategy=", "strategy", "should match"),
        ("strategy=0000000G", "strategy", "should match"),
        (f"strategy={NOW}0", "strategy", "should match"),
        ("by=00000000", "by", "unknown field"),
    ],
)
async def test_a_strategy_that_is_none_is_refused_by_its_name(guide: Guide, query: str, field: str, says: str) -> None:
    await guide.end((await guide.ask())["job_id"])
    faults = await guide.harness.refused("GET", f"{PLACES}?{query}")
    assert list(faults) == [field] and says in faults[field]


async def test_what_a_job_made_by_hand_found_is_known_here(guide: Guide) -> None:
    maker = await guide.harness.submit("locations", {"videoUrl": URL})
    await guide.end(maker)
    assert await guide.ask(200) == {"job_id": maker, "video_id": VIDEO, "status": "done", "cached": True, **HOW}


async def test_the_map_is_that_of_the_last_analyze_in_its_language(guide: Guide) -> None:
    ways = [({}, None), ({"model": "models/other"}, None), ({"language": "de"}, "de")]
    made = {}
    for params, language in ways:
        how = location_strategy(str(params.get("model", MODEL)), language)
        job_id = (await guide.ask(url=URL, params=params))["job_id"]
        await guide.end(job_id, strategy=how)
        made[job_id] = how
    plain, other, german = made.values()

    async def shown(query: str = "") -> Any:
        return (await guide.harness.call("GET", PLACES + query))["strategy_version"]

    assert (await shown(), await shown("?language=DE")) == (other, german)
    assert await shown(f"?strategy={german}") == german
    assert (await guide.ask(200))["strategy_version"] == plain  # known, and asked for again
    assert (await shown(), await shown("?language=de")) == (plain, german)
    await guide.harness.call("GET", f"{PLACES}?language=fr", status=404)


async def test_while_places_are_looked_for_the_map_is_not_there_and_says_who_looks(guide: Guide) -> None:
    job_id = (await guide.ask(url=URL, params={"language": "de"}))["job_id"]
    lease, now = await guide.harness.start(job_id), guide.harness.clock.now()
    progress = partial(state.progress, fraction=0.45, message="1 of 2 parts read", phase="summary", now=now)
    await guide.harness.store.change(job_id, progress, lease=lease)
    how = {"strategy_version": location_strategy(MODEL, "de")}
    for query in ("", "?language=de", f"?strategy={how['strategy_version']}"):
        told = await guide.harness.call("GET", PLACES + query, status=404)
        assert told.items() >= {"job_id": job_id, "job_status": "running", **how}.items()
        assert "running (summary, 45 %; 1 of 2 parts read)" in told["detail"] and job_id in told["detail"]
    assert (await guide.harness.call("POST", f"{PLACES}/retry", status=404))["job_id"] == job_id
    await guide.harness.settle(job_id, Postpone(timedelta(minutes=1), "gemini_limited: a pause"))
    told = await guide.harness.call("GET", PLACES, status=404)
    assert (told["job_status"], told["runAt"]) == ("queued", "2030-01-01T00:01:00.000Z")
    assert "queued until 2030-01-01T00:01:00.000Z (gemini_limited: a pause)" in told["detail"]
    await guide.harness.queue.cancel(job_id)
    assert "job_id" not in await guide.harness.call("GET", PLACES, status=404)


async def test_a_model_under_its_long_name_is_the_same_one(guide: Guide) -> None:
    first = await guide.ask()
    assert await guide.ask(url=URL, params={"model": f"models/{MODEL}"}) == first


@pytest.mark.parametrize("scopes", [["submit"], ["submit", "read"]])
async def test_where_no_results_are_kept_the_job_that_was_asked_for_answers(build: Any, scopes: list[str]) -> None:
    guide = Guide()
    guide.harness = harness = await build(specs=[guide.spec], cache_ttl=timedelta(0))
    key, other = await harness.key(*scopes, name="one"), await harness.key("submit", name="two")
    first = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=key))["job_id"]
    assert (await harness.call("GET", PLACES, status=404, headers=key))["job_id"] == first
    await guide.end(first, SHILIN)
    for query in ("", f"?strategy={NOW}"):
        assert (await harness.call("GET", PLACES + query, headers=key))["failed"] == [SHILIN]
    await harness.call("GET", PLACES, status=404, headers=other)
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=key))["job_id"] == first
    await guide.end(first)
    second = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=key))["job_id"]
    assert second != first, "nothing is kept for who asks again"
    await guide.end(second)
    assert (await harness.call("GET", PLACES, headers=key))["routes"] == [ROUTE]
