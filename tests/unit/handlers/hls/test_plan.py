"""Sizes, rates and names of renditions, decided without a video."""

from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.hls.plan import HlsPlan, frame_rate, ladder, maxrate, quality_fault, variant_map
from secondunit.handlers.tools.media.probe import Audio, Video

ALL = [2160, 1440, 1080, 720, 480, 360, 240]
USUAL = [1080, 720, 480]


def sizes(width: Any, height: Any, rungs: list[int]) -> Any:
    return [(rung.width, rung.height) for rung in ladder(Fraction(width), Fraction(height), rungs, Fraction(25))]


@pytest.mark.parametrize(
    ("source", "rungs", "expected"),
    [
        ((640, 272), ALL, [(640, 272), (428, 182)]),
        ((1080, 1920), [1080, 240], [(1080, 1920), (240, 428)]),
        ((176, 144), ALL, [(176, 144)]),
        ((1920, 1080), USUAL, [(1920, 1080), (1280, 720), (854, 480)]),
        ((1920, 800), USUAL, [(1920, 800), (1280, 534), (854, 356)]),
        ((1440, 1080), USUAL, [(1440, 1080), (960, 720), (640, 480)]),
        ((640, 360), USUAL, [(640, 360)]),
        ((3840, 2160), USUAL, [(1920, 1080), (1280, 720), (854, 480)]),
        ((1296, 730), USUAL, [(1296, 730), (854, 480)]),
        ((2000, 1125), [1080], [(1920, 1080)]),
        ((175, 143), USUAL, [(174, 142)]),
        ((Fraction(2560, 3), 480), USUAL, [(852, 480)]),
        ((4000, 8), USUAL, [(1920, 4), (1280, 4), (854, 2)]),
    ],
)
def test_rung_n_is_a_box_turned_with_the_picture(source: Any, rungs: Any, expected: Any) -> None:
    assert sizes(source[0], source[1], rungs) == expected


def test_a_rung_hardly_smaller_than_the_native_one_is_left_out() -> None:
    assert sizes(1280, 720, [720, 650, 648, 640]) == [(1280, 720), (1138, 640)]


def test_qualities_above_the_source_collapse_to_the_native_one() -> None:
    assert [rung.name for rung in ladder(Fraction(640), Fraction(360), [2160, 1080, 720, 480], Fraction(25))] == [
        "480p"
    ]


def test_asked_twice_is_made_once() -> None:
    assert sizes(1280, 720, [720, 720]) == [(1280, 720)]


@pytest.mark.parametrize("width", range(2, 700, 23))
@pytest.mark.parametrize("height", [2, 99, 272, 555])
def test_nothing_is_enlarged_and_every_size_is_even(width: Any, height: Any) -> None:
    for across, down in sizes(width, height, ALL):
        assert 2 <= across <= max(2, width) and across % 2 == 0
        assert 2 <= down <= max(2, height) and down % 2 == 0


@pytest.mark.parametrize(
    ("average", "nominal", "value", "convert"),
    [
        (Fraction(24000, 1001), Fraction(24000, 1001), Fraction(24000, 1001), False),
        (Fraction(2997, 125), Fraction(2997, 125), Fraction(24000, 1001), True),
        (Fraction(25), Fraction(50), Fraction(25), True),
        (Fraction(24), Fraction(48), Fraction(24), True),
        (Fraction(120), Fraction(120), Fraction(60), True),
        (Fraction(120000, 1001), Fraction(120000, 1001), Fraction(60000, 1001), True),
        (Fraction(240), Fraction(240), Fraction(60), True),
        (Fraction(27), Fraction(30), Fraction(25), True),
        (Fraction(28), Fraction(1000), Fraction(30000, 1001), True),
        (Fraction(59, 2), Fraction(30), Fraction(30), False),
        (Fraction(15), Fraction(15), Fraction(15), False),
        (Fraction(2), Fraction(2), Fraction(2), False),
        (Fraction(1), Fraction(1), Fraction(2), True),
        (Fraction(3, 10), Fraction(3, 10), Fraction(12, 5), True),
        (Fraction(0), Fraction(0), Fraction(25), True),
        (Fraction(0), Fraction(1000), Fraction(25), True),
        (Fraction(0), Fraction(30), Fraction(30), False),
    ],
)
def test_the_rate_is_steady_and_customary(average: Any, nominal: Any, value: Any, convert: Any) -> None:
    rate = frame_rate(average, nominal)
    assert (rate.value, rate.convert) == (value, convert)


def test_a_size_has_its_rate_and_a_fast_picture_half_as_much_again() -> None:
    assert [maxrate(1920, 1080, Fraction(30)), maxrate(854, 480, Fraction(25)), maxrate(428, 240, Fraction(25))] == [
        5000,
        1400,
        400,
    ]
    assert maxrate(1920, 1080, Fraction(60)) == 7500
    assert maxrate(240, 428, Fraction(25)) == 400
    assert maxrate(2560, 1440, Fraction(25)) == 9000
    assert maxrate(7680, 4320, Fraction(25)) == 14000


def test_every_rendition_names_its_playlist() -> None:
    video = Video(2, "h264", 640, 360, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)
    rungs = ladder(Fraction(640), Fraction(360), [360, 240], Fraction(25))
    plan = HlsPlan(video, Audio(1, "aac", 2), frame_rate(Fraction(25), Fraction(25)), rungs, "fmp4")
    assert variant_map(plan) == "v:0,name:360p v:1,name:240p"


@pytest.mark.parametrize("quality", ["720", "72p", "10800p", "720P", "0720p", " 720p", "720p\n", "७२०p"])
def test_a_quality_is_three_or_four_digits_and_a_p(quality: Any) -> None:
    assert quality_fault(quality) and not quality_fault("720p")
