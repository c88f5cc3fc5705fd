"""The stream of a search for places, opened late, cut, and opened again as an EventSource does, end to end."""

import http.client
import time
from collections.abc import Iterator
from typing import Any

import pytest

from secondunit.handlers.locations.strategy import video_id
from secondunit.testing.fakes.nominatim import TAIPEI
from tests.e2e.conftest import starting
from tests.e2e.locations.conftest import Client, EventSource, Town

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ALL = list(TAIPEI)


@pytest.fixture(scope="module")
def client(town: Town, tmp_path_factory: Any) -> Iterator[Client]:
    """A client of the one daemon that these tests share."""
    with starting(tmp_path_factory.mktemp("streams")) as start:
        yield Client(start(**town.environ).ready())


def until(holds: Any) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_map_is_whole_for_a_reader_who_comes_late_is_cut_off_and_comes_back(client: Client, town: Town) -> None:
    url = town.video("Cut", *ALL)
    town.nominatim.faults = {ALL[2]: ["slow:2"], ALL[4]: ["slow:2"]}
    job_id = client.analyze(url)["job_id"]
    until(lambda: ALL[2] in town.nominatim.asked)  # two are found, the third is being looked for

    reader = EventSource(client.daemon.port, job_id)
    with reader.opened() as first:
        known = next(told for told in first if told.event == "partial_locations")
        assert [place["location"] for place in known.data["locations"]] == ALL[:2]
        assert (
            next(told for told in first if told.event == "partial_locations").data["locations"][0]["location"] == ALL[2]
        )
    until(lambda: ALL[4] in town.nominatim.asked)  # while nobody listens the fourth is found

    with reader.opened() as second:
        rest = list(second)
    assert all(told.id for told in rest) and rest[-1].event == "completed"
    found = [
        [place["location"] for place in told.data["locations"]] for told in rest if told.event == "partial_locations"
    ]
    assert found == [[ALL[3]], [ALL[4]]]
    with pytest.raises(http.client.HTTPException, match="204"), reader.opened():
        pass
    assert reader.map == client.places(video_id(url)).body["routes"]

    late = EventSource(client.daemon.port, job_id)
    with late.opened() as third:
        assert [told.event for told in third] == ["partial_locations", "completed"]
    assert late.map == reader.map


def test_a_pause_that_gemini_asks_for_is_told_in_the_stream_and_in_the_answer(client: Client, town: Town) -> None:
    town.gemini.script.append("rate:3")
    job_id = client.analyze(town.video("Paused", ALL[0]))["job_id"]
    told = client.stream(job_id)
    waits = next(one.data for one in told if one.event == "phase_update" and one.data["status"] == "queued")
    assert "gemini" in waits["message"] and waits["runAt"].endswith("Z")
    assert told[-1].event == "completed"
