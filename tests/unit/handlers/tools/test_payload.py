"""What the payloads of all job types share."""

import pytest
from pydantic import BaseModel, ValidationError

from secondunit.handlers.tools.payload import PAYLOAD, LanguageTag


class Film(BaseModel):
    """A payload as a job type writes one."""

    model_config = PAYLOAD

    input_path: str
    language: LanguageTag | None = None
    frame_count: int = 1


def faults(**fields: object) -> list[tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as refused:
        Film.model_validate({"inputPath": "/a", **fields})
    return [fault["loc"] for fault in refused.value.errors()]


def test_names_are_camel_case_and_nothing_is_converted_or_ignored() -> None:
    assert Film.model_validate({"inputPath": "/a", "frameCount": 3}).frame_count == 3
    assert faults(input_path="/b") == [("input_path",)]
    assert faults(frameCount="3") == [("frameCount",)] and faults(frameCount=True) == [("frameCount",)]
    assert faults(frameCount=3.0) == [("frameCount",)]


def test_a_payload_stays_as_it_was_checked() -> None:
    film = Film.model_validate({"inputPath": "/a"})
    with pytest.raises(ValidationError, match="frozen"):
        film.input_path = "/etc/passwd"


@pytest.mark.parametrize("tag", ["de", "pt-BR", "zh-Hant-TW", "sl-IT-nedis", "ang"])
def test_a_language_is_named_as_everybody_does(tag: str) -> None:
    assert Film.model_validate({"inputPath": "/a", "language": tag}).language == tag


@pytest.mark.parametrize(
    "tag", ["", "d", "de_DE", "de-", "-de", "de\n", "de DE", "de;rm", "de-a-b-c-d", "deutschland", "ｄｅ", "de-\u0661"]
)
def test_what_is_no_language_is_refused(tag: str) -> None:
    assert faults(language=tag) == [("language",)]
