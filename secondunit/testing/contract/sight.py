"""Conformance tests of what people are told: the line before a job is the one that a claim follows."""

from datetime import timedelta

from secondunit.queue import state
from secondunit.queue.follow import each
from secondunit.queue.model import Filter, Idempotency
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.sight.port import LARGEST_TOLD, Failure, Line, Waiting
from secondunit.queue.sight.query import searched
from secondunit.queue.store import Store
from secondunit.testing.jobs import (
    ALL,
    BROKEN,
    FLAKY,
    NOW,
    by,
    claim,
    claim_one,
    end,
    held,
    later,
    prune_at,
    settled,
    start,
    submit,
)

TYPES = ("hls", "webp")


QUERIES = {
    "film": "b",
    "FILM": "b",
    "-film": "edca",
    '"two words"': "c",
    "100%": "c",
    "is_broken": "",
    "broken": "d",
    "type:webp": "e",
    "-type:webp status:queued": "cba",
    "status:failed status:running": "d",
    "class:deterministic": "d",
    "-class:deterministic": "ecba",
    "error:broken": "d",
    "key:batch": "a",
    "-key:batch": "edcb",
    "by:backend": "c",
    "since:2030-01-01T00:00:20Z until:2030-01-01T00:00:40Z": "cb",
    "path:/media": "b",
    "path:/film": "",
    "url:https://a.org": "c",
    "url:hidden": "",
    "hidden": "",
    "shadow": "",
    "film type:hls status:queued": "b",
    "film -type:hls": "",
    "type:nowhere": "",
}


class SightContract:
    """Searches, and the line of jobs that wait."""

    async def test_a_query_finds_what_its_terms_say_and_never_a_secret(self, store: Store) -> None:
        await submit(store, "a", at=later(10), payload={"n": 1}, idempotency=Idempotency("batch 7", b"d"))
        await submit(store, "b", at=later(20), payload={"path": "/media/a Film.mp4", "cookie": "hidden"})
        words = {"url": "https://a.org", "text": 'two words, 100% "quoted"', "cookie": ["hidden"]}
        await submit(store, "c", at=later(30), payload=words, source="backend")
        await submit(store, "d", at=later(40), priority=0)
        lease = await claim_one(store, "d", at=later(41))
        await store.change("d", settled(BROKEN, later(42)), lease=lease)
        await submit(store, "e", at=later(50), type="webp", payload={"of": "shadow"})
        found = {}
        for text in QUERIES:
            filter = searched(ALL, text, NOW, {"hls": ["cookie"], "idle": []})
            page = await store.find(filter, None, 9)
            assert page.total == len(page.jobs)
            found[text] = "".join(job.id for job in page.jobs)
        assert found == QUERIES

    async def test_a_search_has_pages_and_keeps_to_the_rest_of_its_filter(self, store: Store) -> None:
        await submit(store, *"abcdef", payload={"n": "x"})
        await submit(store, "g", type="webp", payload={"n": "x"})
        filter = searched(Filter(types=["hls"], ids=[*"abcdeg"]), "x", NOW, {"hls": [], "webp": []})
        first = await store.find(filter, None, 3)
        assert ([job.id for job in first.jobs], first.total) == (["e", "d", "c"], 5)
        rest = await store.find(filter, first.next_cursor, 3, counted=False)
        assert ([job.id for job in rest.jobs], rest.next_cursor) == (["b", "a"], None)
        assert [job.id async for job in each(store, filter)] == [*"edcba"]

    async def test_a_search_keeps_to_its_owner(self, store: Store) -> None:
        await submit(store, "ours", owner="us", submitted_by="one")
        await submit(store, "theirs", owner="them", submitted_by="two")
        mine, named = Filter(owner="us"), Filter(owner="us", ids=["ours", "theirs"])
        for filter, text in (
            (mine, "-nothing"),
            (mine, "status:queued"),
            (named, "-nothing"),
            (named, "status:queued"),
        ):
            page = await store.find(searched(filter, text, NOW, {"hls": []}), None, 9)
            assert ([job.id for job in page.jobs], page.total) == (["ours"], 1)
        page = await store.find(searched(ALL, "by:two", NOW, {"hls": []}), None, 9)
        assert [job.id for job in page.jobs] == ["theirs"]

    async def test_those_who_stand_before_a_job_are_counted_by_type_and_named_in_order(self, store: Store) -> None:
        await submit(store, "first", "second")
        await submit(store, "webp", type="webp", priority=0)
        await submit(store, "unserved", type="other")
        await submit(store, "job")
        await submit(store, "urgent", priority=1)
        await submit(store, "behind")
        line = await store.sight.line("job", TYPES, NOW, 3)
        assert line == Line({"hls": 3, "webp": 1}, 1, ("webp", "urgent", "first"))
        assert await store.sight.line("webp", TYPES, NOW, 3) == Line()
        claimed = await store.claim({"hls": 9, "webp": 9}, 5, "b", timedelta(seconds=9), NOW)
        assert [job.id for job in claimed] == ["webp", "urgent", "first", "second", "job"]

    async def test_a_delayed_job_stands_in_the_line_once_its_time_has_come(self, store: Store) -> None:
        await submit(store, "delayed", run_at=later(60))
        await submit(store, "job", run_at=later(30))
        await submit(store, "ready")
        await submit(store, "late", run_at=later(90))
        assert await store.sight.line("ready", TYPES, later(59), 9) == Line({"hls": 1}, 0, ("job",))
        assert await store.sight.line("late", TYPES, later(89), 9) == Line(), "its time has not come"
        assert await store.sight.line("ready", TYPES, later(60), 9) == Line({"hls": 2}, 0, ("delayed", "job"))
        assert [job.id for job in await claim(store, at=later(60))] == ["delayed", "job", "ready"]

    async def test_a_raised_rank_counts_as_in_a_claim(self, store: Store) -> None:
        await submit(store, "old", priority=3)
        await submit(store, "young", at=later(600), priority=2)
        assert await store.sight.line("young", TYPES, later(600), 9) == Line()
        assert await store.age(later(600), timedelta(minutes=10), 9) == 1
        assert await store.sight.line("young", TYPES, later(600), 9) == Line({"hls": 1}, 0, ("old",))
        assert [job.id for job in await claim(store, at=later(600))] == ["old", "young"]

    async def test_the_line_is_told_as_claims_take_it(self, store: Store) -> None:
        await start(store, "running")
        await submit(store, "first", "second", payload={"inputPath": "/a"})
        await submit(store, "webp", type="webp", priority=4, payload={})
        await submit(store, "unserved", type="other", priority=0)
        await submit(store, "large", payload={"text": "x" * LARGEST_TOLD})
        await submit(store, "later", priority=0, run_at=later(60))
        told = await store.sight.waiting(TYPES, NOW, 2)
        assert list(told) == [
            Waiting("first", "hls", {"inputPath": "/a"}),
            Waiting("second", "hls", {"inputPath": "/a"}),
            Waiting("webp", "webp", {}),
        ]
        told = await store.sight.waiting(TYPES, later(60), 9)
        assert [one.job_id for one in told] == ["later", "first", "second", "large", "webp"]
        assert told[3].payload == {}, "it would be much to read of each"
        assert await store.sight.waiting((), NOW, 9) == []

    async def test_the_samples_of_a_type_are_kept_until_others_take_their_place(self, store: Store) -> None:
        first, other = Sample(2.5, 1.5, {"bytes": 7.0}), Sample(3.0, 0.0, {})
        assert await store.sight.samples() == {}
        await store.sight.keep_samples({"hls": [first, other], "webp": [other]})
        await store.sight.keep_samples({"hls": [other]})
        kept = await store.sight.samples()
        assert {type: list(samples) for type, samples in kept.items()} == {"hls": [other], "webp": [other]}

    async def test_failures_are_listed_newest_first(self, store: Store) -> None:
        await end(store, "a", BROKEN, at=later(1))
        await end(store, "b", at=later(2))
        await end(store, "c", BROKEN, at=later(3), type="webp")
        await end(store, "d", FLAKY, at=later(4))
        error = BROKEN.error
        both = [Failure("c", "webp", error, later(3)), Failure("a", "hls", error, later(1))]
        assert list(await store.sight.failures(later(1), 9)) == both
        assert list(await store.sight.failures(later(2), 9)) == list(await store.sight.failures(NOW, 1)) == both[:1]

    async def test_what_happens_is_counted_in_its_minute(self, store: Store) -> None:
        await submit(store, "a", "b", at=NOW)
        lease = await claim_one(store, "a", at=later(30))
        await store.change("a", settled(FLAKY, later(40)), lease=lease)
        await submit(store, "w", at=later(60), type="webp")
        [retried] = await claim(store, 1, at=later(61))
        await store.change(retried.id, settled(BROKEN, later(63)), lease=held(retried))
        rows = list(await store.sight.series(NOW, ["hls"]))
        assert [(row.at, row.type, row.values[:9]) for row in rows] == [
            (NOW, "hls", (2, 1, 0, 0, 0, 0, 1, 2, 0)),
            (later(60), "hls", (0, 1, 0, 0, 1, 0, 0, 1, 0)),
        ]
        assert [row.type for row in await store.sight.series(later(1), [])] == ["hls", "webp"]

    async def test_jobs_that_are_forgotten_stay_counted(self, store: Store) -> None:
        await end(store, "a", at=later(1))
        assert list(await store.prune(prune_at(later(2)))) == ["a"]
        [row] = await store.sight.series(NOW, [])
        assert row.values[:3] == (1, 1, 1)

    async def test_minutes_become_hours_after_two_days_and_hours_go_after_ninety(self, store: Store) -> None:
        await submit(store, "a", at=NOW)
        await submit(store, "b", at=later(3599))
        await submit(store, "c", at=later(3600))
        await store.prune(prune_at(later(2 * 86400 + 3599)))
        assert len(await store.sight.series(NOW, [])) == 3, "no whole hour of them is old enough"
        await store.prune(prune_at(later(2 * 86400 + 3600)))
        rows = [(row.at, row.values[0], row.values[7]) for row in await store.sight.series(NOW, [])]
        assert rows == [(NOW, 2, 2), (later(3600), 1, 3)]
        await submit(store, "late", at=later(60))
        await store.prune(prune_at(later(2 * 86400 + 3600)))
        assert [row.values[0] for row in await store.sight.series(NOW, [])] == [3, 1]
        await store.prune(prune_at(later(90 * 86400 + 1)))
        assert [row.at for row in await store.sight.series(NOW, [])] == [later(3600)]

    async def test_a_limit_of_a_type_is_remembered_until_it_is_taken_back(self, store: Store) -> None:
        assert await store.limits() == {}
        await store.limit("hls", 2)
        await store.limit("webp", 1)
        await store.limit("hls", 4)
        assert await store.limits() == {"hls": 4, "webp": 1}
        await store.limit("hls", None)
        await store.limit("other", None)
        assert await store.limits() == {"webp": 1}

    async def test_a_job_that_does_not_wait_in_the_line_has_nobody_before_it(self, store: Store) -> None:
        await start(store, "suspect")
        await store.change("suspect", by(state.bury, 1, False, later(1)))
        await start(store, "running")
        await submit(store, "waiting")
        for job_id in ("suspect", "running", "nowhere"):
            assert await store.sight.line(job_id, TYPES, later(2), 9) == Line()
        assert await store.sight.line("waiting", TYPES, later(2), 9) == Line(), "suspects stand in no line"
