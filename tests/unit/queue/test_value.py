"""A value of the queue stays as it was made."""

import copy
import pickle
from typing import Any

import pytest

from secondunit.queue.model import Event
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, new

JOB = new("a").job


def test_a_job_can_not_be_changed() -> None:
    for job in (JOB, replace(JOB, progress=0.5)):
        with pytest.raises(AttributeError):
            job.progress = 1.0  # type: ignore[misc]


def test_a_replaced_job_differs_in_nothing_else() -> None:
    changed = replace(JOB, progress=0.5, message="half")
    assert changed != JOB and (changed.progress, changed.message) == (0.5, "half")
    assert replace(changed, progress=0.0, message=None) == JOB


def test_a_name_that_is_no_field_is_refused() -> None:
    nothing: dict[str, Any] = {"progres": 0.5}
    with pytest.raises(TypeError):
        replace(JOB, **nothing)
    with pytest.raises(TypeError):
        Event("a", "hls", "queued", NOW, JOB.status, **nothing)


def test_no_two_jobs_share_a_default() -> None:
    assert JOB.labels == new("b").job.labels == {} and JOB.labels is not new("b").job.labels


def test_a_job_survives_copying() -> None:
    assert copy.deepcopy(JOB) == pickle.loads(pickle.dumps(JOB)) == JOB  # noqa: S301  our own
