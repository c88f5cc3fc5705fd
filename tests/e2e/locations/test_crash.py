"""A search for places through the deaths of its daemon: nothing finished is done again, nothing missed forgotten."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.locations.conftest import Client, Town

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAMES = ["Harbour", "Old Fort", "Lighthouse"]
# Too much for one question: what is left of it by compression makes two.
FILLER = [f"line {n} tells of thing {n * 7919} and of matter {n * 104729}, nothing else" for n in range(2400)]


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Return once this holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.timeout(200)
def test_killed_in_each_phase_it_repeats_nothing_that_was_finished(start: Any, town: Town) -> None:
    def life() -> Client:
        return Client(start(**town.environ).ready())

    def killed(client: Client) -> None:
        client.daemon.signal(signal.SIGKILL)
        client.daemon.ended()

    url = town.video("Long", *NAMES, filler=FILLER)
    town.nominatim.places |= {name: (25.0 + n, 121.5) for n, name in enumerate(NAMES)}
    held = town.held["Long"] = threading.Event()
    client = life()
    job_id = client.analyze(url)["job_id"]
    assert held.wait(60)
    assert client.daemon.job(job_id)["phase"] == "metadata"
    killed(client)

    del town.held["Long"]
    client = life()
    phases = (told.data["phase"] for told in client.events(job_id) if told.event == "phase_update")
    before = (None, "metadata")  # none while it waits its turn after the kill
    assert next(phase for phase in phases if phase not in before) == "compression"
    killed(client)
    assert town.questions("Long") == []

    town.gemini.script.extend(["answer", "hang"])
    client = life()
    until(lambda: len(town.questions("Long")) == 2)
    assert client.daemon.job(job_id)["phase"] == "summary"
    killed(client)

    town.nominatim.faults[NAMES[2]] = ["hang"]
    client = life()
    until(lambda: town.nominatim.asked == NAMES)
    job = client.daemon.job(job_id)
    assert (job["phase"], job["progress"], job["stats"]["locations_found"]) == ("geocode", 90, 2)
    killed(client)

    client = life()
    job = client.ended(job_id)
    assert (job["status"], job["attempt"], job["stats"]["locations_found"]) == ("done", 1, 3)
    assert [request.path for request in town.site.requests].count("/Long.vtt") == 2, "what was cut off, and once more"
    first, cut_off, again = town.questions("Long")
    assert first != cut_off == again
    assert town.nominatim.asked == [*NAMES, NAMES[2]]
    assert [route["location"] for route in job["result"]["routes"]] == NAMES


def test_what_failed_for_a_passing_reason_is_looked_for_again_by_itself(start: Any, town: Town) -> None:
    client = Client(start(**town.environ).ready())
    town.nominatim.places |= {"Kiosk": (25.1, 121.5), "Bridge": (25.2, 121.5)}
    town.nominatim.faults["Bridge"] = ["status:502", "status:502"]
    job_id = client.analyze(town.video("Later", "Kiosk", "Bridge"))["job_id"]
    assert client.ended(job_id)["status"] == "partial"
    client.daemon.signal(signal.SIGTERM)
    assert client.daemon.ended() == 0

    before, quarter = len(town.nominatim.asked), 15 * 60 * 1_000_000
    with sqlite3.connect(client.daemon.data / "queue.db") as database:
        database.execute("update jobs set finished_at = finished_at - ?", (quarter,))
    database.close()
    client = Client(start(**town.environ).ready())
    job = client.daemon.until(job_id, "done")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["partial", "completed"]
    assert town.nominatim.asked[before:] == ["Bridge"]
    assert "looks again for what it missed for a passing reason (time 1)" in client.daemon.log
