"""Starts: the line run through the slots as claims take it."""

from secondunit.queue.sight.estimates import Span
from secondunit.queue.sight.lanes import Turn, behind, starts
from secondunit.queue.sight.room import Load


def load(most: int = 5, **limits: int) -> Load:
    return Load(limits, {}, 0, most)


def turns(*jobs: tuple[str, str, float | None]) -> list[Turn]:
    return [Turn(id, type, None if takes is None else Span(takes, takes / 10)) for id, type, takes in jobs]


def seconds(found: dict[str, Span]) -> dict[str, float]:
    return {id: span.seconds for id, span in found.items()}


def test_who_has_a_free_slot_starts_at_once_and_the_others_as_slots_come_free() -> None:
    line = turns(("a", "hls", 60.0), ("b", "hls", 30.0), ("w", "webp", 2.0), ("c", "hls", 10.0))
    found = starts(load(hls=1, webp=1), [("hls", Span(20.0, 1.0))], line)
    assert seconds(dict(found)) == {"a": 20.0, "b": 80.0, "w": 0.0, "c": 110.0}


def test_the_limit_over_all_types_counts_too() -> None:
    line = turns(("a", "hls", 60.0), ("w", "webp", 2.0), ("d", "deploy", 5.0))
    found = starts(load(most=1, hls=1, webp=1, deploy=1), [], line)
    assert seconds(dict(found)) == {"a": 0.0, "w": 60.0, "d": 62.0}


def test_the_errors_of_those_before_add_up_like_the_sides_of_a_square() -> None:
    line = [Turn("a", "hls", Span(10.0, 3.0)), Turn("b", "hls", Span(10.0, 9.0))]
    found = starts(load(hls=1), [("hls", Span(5.0, 4.0))], line)
    assert found["a"] == Span(5.0, 4.0)
    assert found["b"] == Span(15.0, 5.0)


def test_behind_what_takes_nobody_knows_how_long_no_start_is_told() -> None:
    line = turns(("a", "hls", None), ("b", "hls", 5.0), ("w", "webp", 1.0))
    found = starts(load(hls=1, webp=1), [], line)
    assert seconds(dict(found)) == {"a": 0.0, "w": 0.0}
    assert starts(load(hls=1), [("hls", None)], turns(("b", "hls", 5.0))) == {}


def test_a_type_with_no_slot_at_all_and_an_empty_line_end() -> None:
    assert starts(load(most=0, hls=1), [], turns(("a", "hls", 1.0))) == {}
    assert starts(load(), [], turns(("a", "gone", 1.0))) == {}
    assert starts(load(hls=3), [("hls", Span(1.0, 0.0))], []) == {}


def test_more_that_runs_than_the_limit_allows_ends_first() -> None:
    running = [("hls", Span(5.0, 0.0)), ("hls", Span(9.0, 0.0))]
    found = starts(load(hls=1), running, turns(("a", "hls", 1.0)))
    assert seconds(dict(found)) == {"a": 9.0}


def test_who_stands_far_behind_starts_by_what_its_type_usually_takes() -> None:
    usually = {"hls": Span(10.0, 1.0), "webp": Span(1.0, 0.1)}
    found = behind(load(most=5, hls=2, webp=5), "hls", Span(100.0, 0.0), {"hls": 40, "webp": 100}, usually)
    assert found == Span(300.0, 20.0)
    crowded = behind(load(most=5, hls=2, webp=5), "webp", Span(100.0, 0.0), {"hls": 0, "webp": 1000}, usually)
    assert crowded == Span(300.0, 20.0)
    assert behind(load(hls=2), "hls", Span(0.0, 0.0), {"hls": 1, "odd": 1}, usually) is None
