from typing import Any

from tests.http.videos.guide import HOW, NOW, STATS, URL, VIDEO, Guide


async def test_the_job_is_shown_in_the_words_of_those_who_asked(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert shown["stats"] == {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}
    expected = {"job_id": job_id, "jobId": job_id, "video_id": VIDEO, "strategy_version": NOW, "status": "queued"}
    assert expected.items() <= shown.items()
    assert shown["created_at"] == shown["updated_at"] == int(guide.harness.clock.now().timestamp())
    await guide.end(job_id)
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert (shown["status"], shown["progress"]) == ("done", 100)
    assert shown["stats"] == STATS


async def test_a_cancelled_job_is_spelled_as_trailtag_does(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    await guide.harness.call("DELETE", f"/api/jobs/{job_id}")
    assert (await guide.harness.call("GET", f"/api/jobs/{job_id}"))["status"] == "canceled"


async def test_lists_and_jobs_made_elsewhere_keep_the_usual_words(guide: Guide) -> None:
    asked = (await guide.ask())["job_id"]
    await guide.end(asked)
    other = await guide.harness.submit("locations", {"videoUrl": URL})
    await guide.harness.settle(other)
    listed = await guide.harness.call("GET", "/api/jobs")
    assert {job["jobId"]: job["status"] for job in listed["jobs"]} == {asked: "completed", other: "completed"}
    shown = await guide.harness.call("GET", f"/api/jobs/{other}")
    assert shown["status"] == "completed" and "job_id" not in shown and shown["stats"] is None


async def test_the_command_line_is_told_in_the_usual_words(build: Any) -> None:
    guide = Guide()
    guide.harness = await build(specs=[guide.spec], trusted=True)
    job_id = (await guide.ask())["job_id"]
    await guide.end(job_id)
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert shown["status"] == "completed" and "job_id" not in shown


async def test_a_move_of_a_job_is_told_in_the_words_of_who_asked(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    told = await guide.harness.call("DELETE", f"/api/jobs/{job_id}")
    assert told == {"job_id": job_id, "jobId": job_id, "status": "canceled", **HOW}
    told = await guide.harness.call("POST", f"/api/jobs/{job_id}/retry")
    assert told == {"job_id": job_id, "jobId": job_id, "status": "queued", **HOW}
    other = await guide.harness.submit("locations", {"videoUrl": URL})
    told = await guide.harness.call("DELETE", f"/api/jobs/{other}")
    assert told == {"jobId": other, "status": "cancelled"}
