"""What a payload must be."""

from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable, UnknownType
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.model import Submission
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.validation import judged, validated


class Params(BaseModel):
    model: str = "flash"


class Video(BaseModel):
    model_config = ConfigDict(extra="ignore")

    url: str = Field(validation_alias=AliasChoices("videoUrl", "video_url"))
    width: int = 320
    sharp: bool = False
    params: Params = Params()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    n: int = 0


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    input_path: str = Field(alias="inputPath")
    first: int = Field(0, validation_alias=AliasPath("pair", 0))


class Empty(BaseModel):
    pass


async def run(ctx: Any, payload: Any) -> None:
    pass


def accept(model: type[BaseModel], payload: dict[str, Any]) -> Any:
    return validated(HandlerSpec("t", model, run), payload)


def refused(model: type[BaseModel], payload: dict[str, Any], check: Any = None) -> dict[str, str]:
    with pytest.raises(BadPayload) as caught:
        validated(HandlerSpec("t", model, run, check=check), payload)
    return {error.field: error.message for error in caught.value.errors}


def test_a_payload_comes_back_as_its_model() -> None:
    assert accept(Video, {"videoUrl": "u", "width": 1, "params": {"model": "m"}}) == Video.model_construct(
        url="u", width=1, sharp=False, params=Params(model="m")
    )


@pytest.mark.parametrize("model", [Video, Open, Empty])
def test_an_unknown_field_is_refused_whatever_the_model_says(model: type[BaseModel]) -> None:
    faults = refused(model, {"videoUrl": "u", "hieght": 1} if model is Video else {"hieght": 1})
    assert list(faults) == ["payload.hieght"]
    assert faults["payload.hieght"].startswith("unknown field")


def test_an_unknown_field_deep_in_the_payload_is_refused_too() -> None:
    assert refused(Video, {"videoUrl": "u", "params": {"modle": "x"}}) == {"payload.params.modle": "unknown field"}


def test_a_refused_field_is_told_which_ones_there_are() -> None:
    assert refused(Open, {"m": 1}) == {"payload.m": "unknown field; known are n"}


def test_every_alias_is_a_name_and_no_other() -> None:
    assert accept(Video, {"video_url": "u"}).url == accept(Video, {"videoUrl": "u"}).url == "u"
    assert "payload.url" in refused(Video, {"videoUrl": "u", "url": "u"})
    assert accept(Aliased, {"inputPath": "p", "pair": [3]}).first == 3
    assert accept(Aliased, {"input_path": "p"}).input_path == "p"


@pytest.mark.parametrize(
    "field", [{"width": "320"}, {"width": 1.0}, {"width": True}, {"sharp": "true"}, {"sharp": 1}, {"params": []}]
)
def test_a_value_of_another_type_is_refused_not_converted(field: dict[str, Any]) -> None:
    assert list(refused(Video, {"videoUrl": "u", **field})) == [f"payload.{next(iter(field))}"]


def test_all_faults_come_at_once_under_their_paths() -> None:
    faults = refused(Video, {"width": "wide", "x": 1, "params": {"model": 5, "y": 1}})
    assert set(faults) == {
        "payload.videoUrl",
        "payload.width",
        "payload.x",
        "payload.params.model",
        "payload.params.y",
    }


def test_a_field_is_named_once() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(BadPayload) as caught:
        accept(Strict, {"x": 1})
    assert [error.field for error in caught.value.errors] == ["payload.x"]


def test_a_check_refuses_fields_under_the_payload() -> None:
    def check(payload: Video) -> None:
        raise BadPayload(FieldError("videoUrl", "outside of the roots"), FieldError("width", "too wide"))

    assert refused(Video, {"videoUrl": "u"}, check) == {
        "payload.videoUrl": "outside of the roots",
        "payload.width": "too wide",
    }


def test_a_check_sees_sound_payloads_only() -> None:
    seen: list[Any] = []
    refused(Video, {"width": "wide"}, seen.append)
    validated(HandlerSpec("t", Video, run, check=seen.append), {"videoUrl": "u"})
    assert [payload.url for payload in seen] == ["u"]


def test_a_type_that_lacks_something_says_so_itself() -> None:
    def check(payload: Any) -> None:
        raise TypeUnavailable("t", "set GEMINI_API_KEY")

    with pytest.raises(TypeUnavailable, match="GEMINI_API_KEY"):
        validated(HandlerSpec("t", Empty, run, check=check), {})


def test_text_that_is_no_unicode_is_a_fault_of_the_payload() -> None:
    assert list(refused(Video, {"videoUrl": "\ud800"})) in (["payload"], ["payload.videoUrl"])


def test_a_type_that_other_boxes_run_is_taken_unless_its_input_is_here_alone() -> None:
    spec = HandlerSpec("far", Video, run, inputs=lambda payload: [payload["videoUrl"]])
    registry, here = Registry([], [spec]), Locality("here", ["/shared"], alone=False)
    assert "far" not in registry and not registry, "it is not among those that run here"
    for reachable in ("https://a.example/v", "s3://films/v", "/shared/v"):
        assert judged(Submission("far", {"videoUrl": reachable}), registry, here) == ()
    with pytest.raises(TypeUnavailable, match=r"TYPES leaves it out.*SHARED_ROOTS"):
        judged(Submission("far", {"videoUrl": "/films/v"}), registry, here)
    assert judged(Submission("far", {"videoUrl": "/films/v"}), Registry([spec]), here) == ()
    with pytest.raises(BadPayload, match=r"payload\.videoUrl"):
        judged(Submission("far", {}), registry, here)
    with pytest.raises(UnknownType, match=r"known are $"):
        judged(Submission("farther", {}), registry, ANYWHERE)
