"""References in payloads: found, followed into results, and judged at submit as far as they can be."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.graph.references import Reference, filled, references, results
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Bonds, Job, Status
from secondunit.queue.outcome import Deterministic
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.validation import accepted
from secondunit.testing.jobs import NOW

RESULT = {"outputPath": "/a", "renditions": [{"path": "/0"}, {"path": "/1"}], "none": None}


class Inner(BaseModel):
    path: str


class Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    input_path: str
    width: int = 3
    inner: Inner | None = None
    paths: list[str] = []
    either: int | list[str] = 0

    @field_validator("input_path", mode="before")
    @classmethod
    def _starts(cls, value: Any) -> Any:
        if not value.startswith("/"):
            raise ValueError("should be absolute")
        return value


async def run(ctx: JobContext, payload: Any) -> None:
    """Nothing."""


def check(payload: Any) -> None:
    raise BadPayload(FieldError("inputPath", "checked"))


SPEC = HandlerSpec("crop", Payload, run, check=check)


def parent(id: str, result: Any, ref: str | None = None, batch: str | None = None) -> Job:
    return Job(
        id=id, type="x", payload={}, priority=2, status=Status.COMPLETED, created_at=NOW, updated_at=NOW,
        retry=RetryPolicy(), result=result, bonds=Bonds((), "fail", ref), batch=batch,
    )  # fmt: skip


def test_references_are_found_wherever_they_stand() -> None:
    payload = {"a": {"$from": "x", "path": "p"}, "b": [1, {"c": {"$from": "y"}}], "d": "$from"}
    assert list(references(payload)) == [Reference(("a",), "x", "p"), Reference(("b", 1, "c"), "y", "")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"$from": 3},
        {"$from": ""},
        {"$from": "x", "path": 3},
        {"$from": "x", "path": "a..b"},
        {"$from": "x", "path": "."},
        {"$from": "x", "more": 1},
    ],
)
def test_what_is_no_reference_is_told(wrong: Mapping[str, Any]) -> None:
    [fault] = references({"a": [wrong]})
    assert isinstance(fault, FieldError) and fault.field == "a.0" and fault.message.startswith("a reference is")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("outputPath", "/a"),
        ("renditions.1.path", "/1"),
        ("renditions.0", {"path": "/0"}),
        ("none", None),
        (None, RESULT),
    ],
)
def test_a_reference_is_filled_from_the_result(path: str | None, value: Any) -> None:
    reference = {"$from": "job_a"} if path is None else {"$from": "job_a", "path": path}
    payload = {"deep": [{"here": reference}], "stays": [1, "x"]}
    assert filled(payload, [parent("job_a", RESULT)], None) == {"deep": [{"here": value}], "stays": [1, "x"]}
    assert payload["deep"] == [{"here": reference}], "the payload keeps it"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (
            {"$from": "job_a", "path": "nothing"},
            "payload.a.0 can't be filled: job_a is completed and its result has no",
        ),
        ({"$from": "job_a", "path": "renditions.2.path"}, "has no renditions.2.path"),
        ({"$from": "job_a", "path": "renditions.-1"}, "has no renditions.-1"),
        ({"$from": "job_a", "path": "outputPath.0"}, "has no outputPath.0"),
        ({"$from": "job_a", "path": "renditions." + "9" * 5000}, "has no renditions.999"),
        ({"$from": "job_b"}, "job_b is completed and has no result"),
        ({"$from": "job_c"}, "job_c is not there any more"),
        ({"$from": "film"}, "film is not there any more"),
    ],
)
def test_what_is_not_there_is_no_such_result(reference: Mapping[str, Any], says: str) -> None:
    parents = [parent("job_a", RESULT), parent("job_b", None), parent("job_d", 1, "film", "another batch")]
    with pytest.raises(Deterministic, match="can't be filled") as error:
        filled({"a": [reference]}, parents, "batch")
    assert error.value.type == "no_such_result" and says in str(error.value)


def test_a_short_payload_cannot_grow_to_any_size() -> None:
    parents = [parent("job_a", {"list": ["x" * 1_000_000]}), parent("job_b", "y" * 3_000_000)]
    thrice = filled({"a": [{"$from": "job_a"}] * 2 + [{"$from": "job_a", "path": "list"}]}, parents, None)
    assert len(str(thrice)) > 3_000_000
    for many in ({"a": [{"$from": "job_a"}] * 5}, {"a": {"$from": "job_a"}, "b": [{"$from": "job_b"}] * 2}):
        with pytest.raises(Deterministic, match="more than 4194304 bytes") as error:
            filled(many, parents, None)
        assert error.value.type == "too_large"


def test_parents_are_called_by_id_and_by_ref_within_the_batch() -> None:
    parents = [parent("job_a", 1, "film", "batch"), parent("job_b", 2, "film", "other")]
    assert results(parents, "batch") == {"job_a": 1, "job_b": 2, "film": 1}
    assert results(parents, None) == {"job_a": 1, "job_b": 2}


@pytest.mark.parametrize(
    "payload",
    [
        {"inputPath": {"$from": "x"}},
        {"inputPath": "/a", "inner": {"$from": "x"}},
        {"inputPath": "/a", "inner": {"path": {"$from": "x"}}},
        {"inputPath": "/a", "paths": ["/b", {"$from": "x"}]},
        {"inputPath": "/a", "paths": {"$from": "x"}, "width": {"$from": "x"}},
        {"inputPath": "/a", "either": [{"$from": "x"}]},
    ],
)
def test_a_reference_may_stand_for_any_value(payload: Mapping[str, Any]) -> None:
    assert {one.parent for one in accepted(SPEC, payload)} == {"x"}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"inputPath": "/a", "paths": ["/b", {"$from": "x"}], "width": "no"}, "payload.width"),
        ({"inputPath": "/a", "paths": [3, {"$from": "x"}]}, "payload.paths.0"),
        ({"paths": [{"$from": "x"}]}, "payload.inputPath"),
        ({"inputPath": "a", "paths": [{"$from": "x"}]}, "payload.inputPath"),
        ({"inputPath": "/a", "typo": {"$from": "x"}}, "payload.typo"),
        ({"inputPath": "/a", "inner": {"typo": {"$from": "x"}, "path": "/b"}}, "payload.inner.typo"),
    ],
)
def test_what_stands_beside_a_reference_is_judged_at_once(payload: Mapping[str, Any], field: str) -> None:
    with pytest.raises(BadPayload) as refused:
        accepted(SPEC, payload)
    assert [fault.field for fault in refused.value.errors] == [field]


def test_a_payload_that_only_speaks_of_references_is_judged_whole() -> None:
    with pytest.raises(BadPayload, match="checked"):
        accepted(SPEC, {"inputPath": '/"$from"'})
