"""The index of a sprite sheet, and which sheets are refused."""

import re

import pytest

from secondunit.handlers.thumbnail import handler as thumbnail
from secondunit.handlers.thumbnail.payload import ThumbnailPayload, refuse
from secondunit.handlers.thumbnail.sprite import Sprite, index
from secondunit.queue.errors import BadPayload


def cues(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^([0-9:.]+ --> [0-9:.]+)\n(\S+)$", text, re.MULTILINE)


def test_each_tile_has_its_cue_from_its_moment_to_the_next() -> None:
    text = index(Sprite(2, 2, 160, 90), "film.jpg", 10.001)
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> ") and text.endswith("\n")
    assert cues(text) == [
        ("00:00:00.000 --> 00:00:02.500", "film.jpg#xywh=0,0,160,90"),
        ("00:00:02.500 --> 00:00:05.000", "film.jpg#xywh=160,0,160,90"),
        ("00:00:05.000 --> 00:00:07.501", "film.jpg#xywh=0,90,160,90"),
        ("00:00:07.501 --> 00:00:10.001", "film.jpg#xywh=160,90,160,90"),
    ]


def test_hours_are_written() -> None:
    assert cues(index(Sprite(1, 2, 2, 2), "a.png", 36_610))[1][0] == "05:05:05.000 --> 10:10:10.000"


@pytest.mark.parametrize("duration", [None, 0.004])
def test_no_cue_lasts_no_time(duration: float | None) -> None:
    found = cues(index(Sprite(10, 10, 16, 16), "a.png", duration))
    assert found and all(time.split(" --> ")[0] < time.split(" --> ")[1] for time, _ in found)


def test_a_name_is_a_relative_url() -> None:
    [(_, url)] = cues(index(Sprite(1, 1, 2, 2), "a #1: 50% é\n.png", 1))
    assert url == "a%20%231%3A%2050%25%20%C3%A9%0A.png#xywh=0,0,2,2"


def payload(**fields: object) -> ThumbnailPayload:
    return ThumbnailPayload.model_validate({"videoPath": "/m/a.mp4", "outputPath": "/m/a.webp", **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sprite": {}, "timestamp": 3}, "timestamp: a sprite has moments of its own"),
        (
            {"sprite": {}, "timestamps": [1, 2], "outputPath": "/m/{n}.png"},
            "timestamps: a sprite has moments of its own",
        ),
        ({"sprite": {"columns": 26, "rows": 20}}, "sprite: .* are 520 pictures; ask for at most 500"),
        ({"sprite": {"columns": 60, "rows": 1}}, "sprite: .*19200x180.*16383 pixels; ask for fewer columns"),
        ({"sprite": {"columns": 22, "rows": 22, "width": 640}}, "sprite: .*58 million pixels; ask for fewer columns"),
    ],
)
def test_what_can_not_be_is_refused_with_what_to_do(fields: dict[str, object], said: str) -> None:
    with pytest.raises(BadPayload, match=said):
        refuse(payload(**fields))


def test_tiles_are_as_wide_as_the_sprite_says_or_else_the_job() -> None:
    assert payload(sprite={}, width=200).one_width == 200
    assert payload(sprite={"width": 160}, width=200).one_width == 160


@pytest.mark.parametrize(
    ("path", "beside"), [("s3://b/x/a.b.WEBP", "s3://b/x/a.b.vtt"), ("/m.x/{n}.png", "/m.x/{n}.vtt")]
)
def test_the_index_lies_beside_the_picture_under_its_name(path: str, beside: str) -> None:
    assert payload(outputPath=path, sprite={}).index_path == beside


def test_picture_and_index_are_artefacts() -> None:
    spec_artifacts = thumbnail.artifacts({"outputPath": "s3://b/a.webp", "indexPath": "s3://b/a.vtt"})
    assert spec_artifacts == {"a.webp": "s3://b/a.webp", "a.vtt": "s3://b/a.vtt"}
