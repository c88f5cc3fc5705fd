"""What is said of a job whose input is a file of another box."""

from secondunit.queue.sight.homes import home_of
from secondunit.testing.jobs import NOW


def test_of_a_box_that_nobody_has_seen_the_remedy_is_told_with_its_name() -> None:
    told = home_of("b2", None, NOW)
    assert told.startswith("its input is a local file of the box b2") and "(BOX=b2)" in told
