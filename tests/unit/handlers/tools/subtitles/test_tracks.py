"""Which of a video's subtitles are read, when it has several."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from secondunit.handlers.tools.subtitles.tracks import Track, chosen, nearness, own_language, tracks

Info = dict[str, Any]


def vtt(url: str = "https://video.test/x.vtt") -> Sequence[Mapping[str, str]]:
    return [{"ext": "vtt", "url": url}]


def offer(manual: Sequence[str] = (), automatic: Sequence[str] = ()) -> Sequence[Track]:
    return tracks({"subtitles": dict.fromkeys(manual, vtt()), "automatic_captions": dict.fromkeys(automatic, vtt())})


def choice(offered: Sequence[Track], wanted: str | None, own: str | None = None) -> tuple[str, str] | None:
    track = chosen(offered, wanted, own)
    return (track.language, track.kind) if track else None


@pytest.mark.parametrize(
    ("wanted", "own", "manual", "automatic", "expected"),
    [
        ("de", "fr", ["en", "de"], ["fr"], ("de", "manual")),
        ("de", "fr", ["en"], ["fr", "de"], ("de", "automatic")),
        ("de", "fr", ["en", "fr"], ["fr"], ("fr", "manual")),
        ("de", "fr", ["en"], ["fr"], ("fr", "automatic")),
        ("de", "it", ["fr", "en"], [], ("en", "manual")),
        ("de", "it", ["fr", "es"], ["ja"], ("fr", "manual")),
        (None, None, [], ["ja"], ("ja", "automatic")),
        (None, "ja", ["en"], ["ja"], ("ja", "automatic")),
        ("de", None, [], [], None),
    ],
)
def test_the_asked_language_then_the_own_then_english_then_the_first(
    wanted: str | None, own: str | None, manual: list[str], automatic: list[str], expected: tuple[str, str] | None
) -> None:
    assert choice(offer(manual, automatic), wanted, own) == expected


@pytest.mark.parametrize(
    ("wanted", "offered", "expected"),
    [
        ("zh-TW", ["zh-Hans", "zh", "zh-Hant", "zh-TW"], "zh-TW"),
        ("zh-TW", ["zh-Hans", "zh", "zh-Hant"], "zh-Hant"),
        ("zh-TW", ["zh-CN", "zh-HK"], "zh-HK"),
        ("zh-TW", ["zh-Hans", "zh"], "zh"),
        ("zh-TW", ["en", "zh-CN"], "zh-CN"),
        ("zh", ["en", "zh-Hant"], "zh-Hant"),
        ("en", ["de", "en-US"], "en-US"),
        ("en-GB", ["en-US", "en"], "en"),
        ("EN_gb", ["en", "en-GB"], "en-GB"),
        ("de", ["eng", "ger"], "ger"),
        ("sr-Latn", ["sr-Cyrl", "sr"], "sr"),
    ],
)
def test_the_nearest_variant_of_a_language_is_read(wanted: str, offered: list[str], expected: str) -> None:
    assert choice(offer(offered), wanted) == (expected, "manual")


def test_what_people_wrote_comes_before_what_a_machine_heard_even_in_another_variant() -> None:
    assert choice(offer(["zh-Hans"], ["zh-TW"]), "zh-TW") == ("zh-Hans", "manual")


def test_languages_that_begin_alike_are_not_alike() -> None:
    assert (nearness("fi", "fil"), nearness("e", "en")) == (0, 0)


def test_the_format_that_is_read_best_is_taken_and_others_are_refused() -> None:
    forms = [{"ext": ext, "url": "u"} for ext in ("ttml", "srv3", "srt", "vtt", "json3")]
    for left, best in ((5, "json3"), (4, "vtt"), (3, "srt")):
        [track] = tracks({"subtitles": {"en": forms[:left]}})
        assert track.place["ext"] == best
    assert tracks({"subtitles": {"en": forms[:2]}}) == []


def test_chats_and_translations_by_machine_are_no_subtitles() -> None:
    info: Info = {
        "subtitles": {"live_chat": [{"ext": "json", "url": "u"}], "rechat": vtt(), "danmaku": vtt()},
        "automatic_captions": {
            "de": vtt("https://y.test/api?lang=en&tlang=de"),
            "en": vtt("https://y.test/api?lang=en"),
        },
    }
    assert [track.language for track in tracks(info)] == ["en"]


def test_a_track_without_a_language_has_one_that_is_not_determined() -> None:
    assert [track.language for track in tracks({"subtitles": {None: vtt(), "Deutsch (alt)": vtt()}})] == ["und"] * 2


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"language": "de", "automatic_captions": {"fr-orig": vtt()}}, "de"),
        ({"automatic_captions": {"en": vtt(), "fr-orig": vtt()}}, "fr"),
        ({"formats": [{"language": "en"}, {"language": "fr", "language_preference": 10}, {}]}, "fr"),
        ({"formats": [{}]}, None),
        ({}, None),
    ],
)
def test_the_own_language_is_the_one_that_the_site_tells(info: Info, expected: str | None) -> None:
    assert own_language(info) == expected


def test_the_language_in_which_a_video_is_spoken_is_listed_without_its_mark() -> None:
    assert [track.language for track in offer(automatic=["en-orig", "en"])] == ["en", "en"]
