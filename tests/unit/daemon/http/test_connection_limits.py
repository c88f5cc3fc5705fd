"""How many connections there may be: something is left to everybody else, however few descriptors there are."""

import pytest

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.http.connection_limits import USUAL, control_limits, public_limits
from secondunit.daemon.http.listeners import http_settings


def test_where_descriptors_abound_the_settings_hold() -> None:
    assert http_settings(Settings.model_validate({}), 65536).connections == USUAL
    given = {"max_connections": 100, "max_connections_per_address": 10, "max_streams_per_key": 8}
    limits = http_settings(Settings.model_validate(given), 65536).connections
    assert (limits.total, limits.of_address, limits.streams_of_key, limits.streams_of_address) == (100, 10, 8, 2)


@pytest.mark.parametrize("descriptors", [64, 100, 256, 1024, 4096])
@pytest.mark.parametrize("jobs", [1, 5, 1000])
def test_descriptors_are_kept_for_jobs_the_queue_and_the_control_socket(descriptors: int, jobs: int) -> None:
    limits, control = public_limits(10**6, 10**6, 10**6, jobs, descriptors), control_limits(descriptors)
    left = descriptors - limits.total - control.total
    assert left >= min(128 + 16 * jobs, descriptors // 2)
    assert limits.total >= descriptors // 4 and control.total >= 8


@pytest.mark.parametrize("descriptors", [64, 1024, 65536])
def test_nobody_alone_gets_more_than_half_and_streams_leave_room_for_calls(descriptors: int) -> None:
    limits = public_limits(4096, 10**6, 10**6, 5, descriptors)
    alone = (limits.of_address, limits.of_key, limits.streams_of_key, limits.streams_of_address)
    assert max(alone) <= limits.total // 2 and min(alone) >= 1
    assert limits.streams < limits.total
