"""What live jobs published, kept for late readers: within bounds, and never mixed with another list."""

from secondunit.daemon.http.contract.trailtag import items_of
from secondunit.daemon.http.partial_data import JOBS_KEPT, LONGEST, PartialData
from secondunit.queue.model import Event, Status
from secondunit.testing.jobs import NOW


def data(job_id: str, content: object) -> Event:
    return Event(job_id, "map", "data", NOW, Status.RUNNING, data=content)


def test_what_is_no_list_of_places_is_not_kept() -> None:
    partial = PartialData("b", items_of)
    others = [data("job_a", {"locations": [1], "more": 2}), data("job_a", "text"), data("job_a", {"locations": {}})]
    partial.hear(others)
    assert partial.of("job_a") is None and not any(map(partial.holds, others))


def test_no_job_keeps_more_than_its_room_and_what_is_not_kept_is_known() -> None:
    partial = PartialData("b", items_of)
    small, large = data("job_a", [1, 1, 2]), data("job_a", ["x" * LONGEST])
    partial.hear([small, large])
    kept = partial.of("job_a")
    assert kept and kept.items == [1, 2]
    assert partial.holds(small) and not partial.holds(large)


def test_of_more_jobs_than_are_kept_the_oldest_is_forgotten_and_begins_a_list_of_another_name() -> None:
    partial = PartialData("b", items_of)
    partial.hear([data("job_a", [1])])
    first = partial.of("job_a")
    partial.hear([data(f"job_{n}", [n]) for n in range(JOBS_KEPT)])
    assert partial.of("job_a") is None
    partial.hear([data("job_a", [2])])
    again = partial.of("job_a")
    assert first and again and (again.items, again.name != first.name) == ([2], True)
