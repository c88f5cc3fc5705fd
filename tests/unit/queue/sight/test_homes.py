"""What is said of a job whose input is a file of another box, by how that box is."""

import pytest

from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sight.homes import home_of
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, TTL, later

ONLY_THERE = "its input is a local file of the box b2, so it runs only there; "
REMEDY = "start its daemon again (BOX=b2), or cancel the job and submit it where its input is"
B2 = BoxRow("b2", "b2/1", "http://10.0.0.2:8000", "1.0.0", {"hls": 1}, 5, TTL, NOW)


@pytest.mark.parametrize(
    ("home", "said"),
    [
        (B2, "that box is up, and http://10.0.0.2:8000 tells its place in the line"),
        (replace(B2, drained=True), "that box starts nothing more for now"),
        (replace(B2, phase="ended"), f"that box is gone, last seen at {NOW:%Y-%m-%dT%H:%M:%SZ}: {REMEDY}"),
        (None, f"that box was not seen yet: {REMEDY}"),
    ],
)
def test_where_the_input_is_is_told_and_what_to_do_if_that_box_is_gone(home: BoxRow | None, said: str) -> None:
    assert home_of("b2", home, later(1)) == ONLY_THERE + said
