"""A fault in what a job type answers: never an exception in the daemon's loops, always the cautious answer."""

from collections.abc import Callable
from typing import Any

import pytest

from secondunit.daemon.config.plugin_guard import every_text, guarded
from secondunit.queue import state
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Job, Submission
from secondunit.testing.clock import START
from secondunit.testing.rig import spec

PATH = "/data/uploads/a"


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("nothing runs here")


def failing(*_: Any) -> Any:
    raise KeyError("a field that older results lack")


def job() -> Job:
    return state.submit(Submission("own", {"video": PATH}), "job_a", START).job


def test_right_answers_pass_through() -> None:
    own = guarded(
        spec(
            "own",
            never,
            artifacts=lambda result: {"a.txt": result["a"]},
            folder=lambda result: result["home"],
            uploads=lambda payload: [payload["video"]],
            retry_partial=lambda job: job.id == "job_a",
            trouble=lambda: "it is closed",
            size=lambda payload: len(payload["video"]),
        )
    )
    assert own.artifacts({"a": "/m/a"}) == {"a.txt": "/m/a"} and own.folder({"home": "/m"}) == "/m"
    assert own.uploads is not None and list(own.uploads({"video": PATH})) == [PATH]
    assert own.retry_partial is not None and own.retry_partial(job())
    assert own.trouble() == "it is closed"
    assert own.size is not None and own.size({"video": PATH}) == len(PATH)


def test_a_type_that_says_nothing_stays_silent() -> None:
    own = guarded(spec("own", never))
    assert own.uploads is None and own.retry_partial is None and own.trouble() is None and own.size is None
    assert own.artifacts({"outputPath": "/m/x.png"}) == {"x.png": "/m/x.png"} and own.folder({}) is None


def exiting(*_: Any) -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize("failing", [failing, exiting])
def test_what_raises_is_answered_with_caution(failing: Callable[..., Any]) -> None:
    own = guarded(
        spec(
            "own",
            never,
            artifacts=failing,
            folder=failing,
            uploads=failing,
            retry_partial=failing,
            trouble=failing,
            size=failing,
        )
    )
    assert own.artifacts({}) == {} and own.folder({}) is None and own.trouble() is None
    assert own.uploads is not None and PATH in own.uploads({"video": PATH}), "what might be needed stays"
    assert own.retry_partial is not None and not own.retry_partial(job())
    assert own.size is not None and own.size({"video": PATH}) == 0


@pytest.mark.parametrize("wrong", [None, "9", 1.5, -1, True, 10**400])
def test_a_size_of_another_kind_is_none(wrong: Any) -> None:
    own = guarded(spec("own", never, size=lambda _: wrong))
    assert own.size is not None and own.size({}) == 0


@pytest.mark.parametrize("wrong", [lambda _: ["/m/a"], lambda _: {"a": 1}, lambda _: {1: "/m/a"}, lambda _: None])
def test_artifacts_of_another_shape_are_none(wrong: Callable[[Any], Any]) -> None:
    assert guarded(spec("own", never, artifacts=wrong)).artifacts({}) == {}


@pytest.mark.parametrize("wrong", [lambda _: PATH, lambda _: [5], lambda _: None])
def test_uploads_of_another_shape_keep_whatever_the_payload_names(wrong: Callable[[Any], Any]) -> None:
    own = guarded(spec("own", never, uploads=wrong))
    assert own.uploads is not None and PATH in own.uploads({"list": [{"video": PATH}]})


def test_every_text_is_found_however_deep() -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    assert set(every_text({"a": "x", "b": [1, None, {"c": "y"}], "d": deep})) == {"x", "y", "bottom"}
