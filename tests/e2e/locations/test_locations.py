"""A travel video becomes a map, end to end: real yt-dlp and a real daemon, on loopback."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from secondunit.handlers.locations.strategy import location_strategy, video_id
from secondunit.testing.fakes.nominatim import TAIPEI
from tests.e2e.conftest import starting
from tests.e2e.locations.conftest import Client, Town

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MODEL = "gemini-stand-in"
ALL = list(TAIPEI)
PHASES = ["metadata", "compression", "summary", "geocode"]
WEIGHTS = [0, 10, 35, 70]


@pytest.fixture(scope="module")
def client(town: Town, tmp_path_factory: Any) -> Iterator[Client]:
    """A client of the one daemon that these tests share."""
    with starting(tmp_path_factory.mktemp("locations")) as start:
        yield Client(start(GEMINI_MODEL=MODEL, **town.environ).ready())


def jobs(client: Client) -> int:
    return int(client.daemon.call("GET", "/api/jobs?limit=1").body["total"])


def test_a_video_becomes_a_map_and_the_stream_tells_how(client: Client, town: Town) -> None:
    url = town.video("Taipei", *ALL[:2])
    town.gemini.script.append("slow:4")  # so that a heartbeat comes
    asked, began = client.analyze(url), time.monotonic()
    how = {"strategy_version": location_strategy(MODEL, None)}
    assert asked == {"job_id": asked["job_id"], "video_id": video_id(url), "status": "queued", "cached": False, **how}
    told = client.stream(asked["job_id"])
    assert {one.data["job_id"] for one in told} == {asked["job_id"]}
    assert all(isinstance(one.data["ts"], int) and abs(one.data["ts"] - time.time()) < 60 for one in told)

    updates = [one.data for one in told if one.event == "phase_update"]
    assert list(dict.fromkeys(update["phase"] for update in updates)) == PHASES
    progress = [one.data["progress"] for one in told if "progress" in one.data]
    assert progress == sorted(progress) and progress[-1] == 100
    begins = [next(update["progress"] for update in updates if update["phase"] == phase) for phase in PHASES]
    assert begins[1:] == WEIGHTS[1:] and begins[0] <= WEIGHTS[1], "the job may be quicker than its first reader"

    beats = [one for one in told if one.event == "heartbeat"]
    assert beats and beats[0].data.keys() == {"job_id", "status", "ts"} and beats[0].data["status"] == "running"
    assert 4.5 < beats[0].at - began < 8

    found = [place["location"] for one in told if one.event == "partial_locations" for place in one.data["locations"]]
    assert found == ALL[:2]
    assert told[-1].event == "completed" and len([one for one in told if one.event in ("completed", "error")]) == 1
    assert told[-1].data.items() >= {"status": "done", "progress": 100}.items()

    job = client.daemon.job(asked["job_id"])
    assert (job["status"], job["progress"], job["type"]) == ("done", 100, "locations")
    assert job["strategy_version"] == location_strategy(MODEL, None)
    assert job["stats"].items() >= {"tokens_in": 1000, "tokens_out": 250, "locations_found": 2}.items()

    lat, lng = TAIPEI[ALL[1]]
    answer = client.places(asked["video_id"])
    assert answer.status == 200 and answer.body.keys() == {"video_id", "routes", "strategy_version"}
    assert [route["location"] for route in answer.body["routes"]] == ALL[:2]
    assert answer.body["routes"][1] == {
        "location": ALL[1], "coordinates": [lng, lat], "description": f"The video shows {ALL[1]}.",
        "timecode": "00:01:00,000", "tags": ["stand-in"], "marker": "poi",
    }  # fmt: skip
    assert not [request for request in town.site.requests if request.path == "/Taipei.mp4" and request.method == "GET"]


def test_the_second_request_is_answered_from_the_cache_at_once_and_makes_no_job(client: Client, town: Town) -> None:
    url = town.video("Seen", ALL[0])
    maker = client.known(url)
    before, asked = jobs(client), len(town.gemini.asked)
    known = {"status": "done", "cached": True, "strategy_version": location_strategy(MODEL, None)}
    took = []
    for _ in range(200):
        began = time.perf_counter()
        answer = client.analyze(url, 200)
        took.append(time.perf_counter() - began)
        assert answer == {"job_id": maker, "video_id": video_id(url), **known}
    print(f"p50 {statistics.median(took) * 1000:.1f} ms, p95 {statistics.quantiles(took, n=20)[-1] * 1000:.1f} ms")
    assert statistics.quantiles(took, n=20)[-1] < 0.1
    assert (jobs(client), len(town.gemini.asked)) == (before, asked)


def test_of_five_places_two_fail_and_the_retry_asks_for_those_two_only(client: Client, town: Town) -> None:
    names = ["Harbour", "Old Fort", "Lighthouse", "Fish Market", "Ferry Pier"]
    town.nominatim.places |= dict(zip(names[:4], TAIPEI.values(), strict=False))
    unknown, down = names[4], names[1]
    town.nominatim.faults[down] = ["status:500", "status:500"]
    asked = client.analyze(town.video("South", *names))
    told = client.stream(asked["job_id"])
    failed = [{"raw": down, "reason": "unavailable"}, {"raw": unknown, "reason": "not_found"}]
    assert told[-1].event == "completed"
    assert (told[-1].data["status"], told[-1].data["failed"]) == ("partial", failed)
    job = client.daemon.job(asked["job_id"])
    assert (job["status"], job["missing"], job["stats"]["locations_found"]) == ("partial", failed, 3)
    shown = client.places(asked["video_id"]).body
    assert (len(shown["routes"]), shown["failed"], shown["retryable"]) == (3, failed, True)
    assert abs(shown["last_updated"] - time.time()) < 60
    metrics = client.daemon.call("GET", "/metrics").body
    ratio = next(line for line in metrics.splitlines() if line.startswith("secondunit_geocode_success_ratio "))
    assert 0 < float(ratio.split()[1]) < 1

    town.nominatim.places[unknown] = (25.18, 121.41)
    before, questions = len(town.nominatim.asked), len(town.gemini.asked)
    answer = client.retry(asked["video_id"])
    assert (answer.status, answer.body) == (
        202,
        {name: asked[name] for name in ("job_id", "status", "strategy_version")},
    )
    job = client.ended(asked["job_id"])
    assert (job["status"], job["stats"]["locations_found"], job["missing"]) == ("done", 5, None)
    assert sorted(town.nominatim.asked[before:]) == sorted([down, unknown])
    assert len(town.gemini.asked) == questions
    shown = client.places(asked["video_id"]).body
    assert [route["location"] for route in shown["routes"]] == names and "failed" not in shown
    assert client.retry(asked["video_id"]).status == 409
    assert client.retry("nobody").status == 404


def test_those_who_ask_for_a_pause_get_it_and_are_asked_again(client: Client, town: Town) -> None:
    town.gemini.script.append("rate:1")
    town.nominatim.script.append("rate:1")
    town.nominatim.places["Maokong"] = (24.9683, 121.5885)
    asked = client.analyze(town.video("Busy", "Maokong"))
    job = client.ended(asked["job_id"])
    assert (job["status"], job["attempt"]) == ("done", 1)
    assert len(town.questions("Busy")) == 2 and town.nominatim.asked.count("Maokong") == 2


def test_another_strategy_has_a_result_of_its_own_beside_the_old_one(client: Client, town: Town) -> None:
    url = town.video("Seen", ALL[0])
    first, video = client.known(url), video_id(url)
    second = client.analyze(url, model="gemini-other")
    assert (second["cached"], second["video_id"]) == (False, video)
    job = client.ended(second["job_id"])
    old, new = location_strategy(MODEL, None), location_strategy("gemini-other", None)
    assert (job["status"], job["strategy_version"]) == ("done", new) and old != new
    assert [asked.model for asked in town.gemini.asked if asked.video == "Seen (1)"] == [MODEL, "gemini-other"]
    for strategy in (old, new):
        assert client.places(video, f"?strategy={strategy}").status == 200
    assert client.places(video, "?strategy=00000000").status == 404
    assert client.analyze(url, 200)["job_id"] == first


def test_a_video_without_subtitles_fails_at_once_and_says_so(client: Client, town: Town) -> None:
    town.video("Silent")
    town.site.says("/Silent", text='<html><body><video src="/Silent.mp4"></video></body></html>', kind="text/html")
    asked = client.analyze(town.site.url("/Silent"))
    told = client.stream(asked["job_id"])[-1]
    assert (told.event, told.data["status"]) == ("error", "failed")
    assert (told.data["error"]["type"], told.data["error"]["class"]) == ("no_subtitles", "deterministic")
    assert client.places(asked["video_id"]).status == 404


@pytest.mark.long
@pytest.mark.timeout(200)
def test_ten_that_are_asked_for_at_once_all_complete(client: Client, town: Town) -> None:
    urls = [town.video(f"Tour-{n}", ALL[n % 5]) for n in range(10)]
    with ThreadPoolExecutor(10) as pool:
        asked = list(pool.map(client.analyze, urls))
    assert len({one["job_id"] for one in asked}) == 10
    assert [client.ended(one["job_id"], within=180)["status"] for one in asked] == ["done"] * 10
    assert all(len(town.questions(f"Tour-{n}")) == 1 for n in range(10))
    batch = {"jobs": [{"type": "locations", "payload": {"videoUrl": url}} for url in urls]}
    stored = client.daemon.call("POST", "/api/jobs/batch", batch)
    assert stored.status == 201
    for job in stored.body["jobs"]:
        assert client.daemon.until(job["jobId"], "completed", "failed")["status"] == "completed"
    metrics = client.daemon.call("GET", "/metrics").body
    for phase in PHASES:
        assert f'secondunit_phase_duration_seconds_count{{phase="{phase}",type="locations"}}' in metrics
    assert 'secondunit_llm_tokens_total{direction="in"}' in metrics


def test_while_the_geocoder_is_down_jobs_wait_it_shows_and_what_is_known_is_served(client: Client, town: Town) -> None:
    seen = town.video("Seen", ALL[0])
    maker = client.known(seen)
    town.nominatim.script.append("status:500!")
    job_id = client.analyze(town.video("Down", "Here", "There", "Everywhere"))["job_id"]
    job = client.daemon.until(job_id, "running")
    deadline = time.monotonic() + 30
    while not (job["status"] == "queued" and job["runAt"]):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
        job = client.daemon.job(job_id)
    assert "geocoder_down" in job["message"] and job["attempt"] == 1
    health = client.daemon.call("GET", "/health")
    assert (health.status, health.body["status"]) == (200, "degraded")
    assert [reason for reason in health.body["reasons"] if reason.startswith("geocoder_trouble: ")]
    assert 'secondunit_degraded{reason="geocoder_trouble"} 1.0' in client.daemon.call("GET", "/metrics").body
    assert client.analyze(seen, 200)["job_id"] == maker
    assert client.places(video_id(seen)).status == 200
