"""Addresses of videos: one name for every spelling, and those that can't be any refused before anybody is asked."""

import pytest

from secondunit.handlers.tools.fetching.video_urls import check_video_url, url_identity, youtube_id
from secondunit.queue.errors import BadPayload

ID = "dQw4w9WgXcQ"
SPELLINGS = [
    f"https://www.youtube.com/watch?v={ID}",
    f"https://m.youtube.com/watch?list=PL1&v={ID}&t=3s",
    f"https://youtu.be/{ID}?si=abc",
    f"http://youtube.com/shorts/{ID}/",
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://music.youtube.com/watch?v={ID}",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_every_spelling_is_one_video_and_is_taken(url: str) -> None:
    check_video_url("url", url)
    assert youtube_id(url) == ID and url_identity(url) == f"youtube:{ID}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://www.youtube.com/watch?v=tooshort", "'tooshort' is no id of a video"),
        (f"https://youtu.be/{ID}x", "is no id of a video"),
        ("https://www.youtube.com/watch", "it names no video"),
        ("https://www.youtube.com/watch?v=", "it names no video"),
        ("https://youtube.com/shorts/a%20b", "is no id of a video"),
        ("https://youtu.be/" + "a" * 500, "a' is no id"),
    ],
)
def test_what_can_not_be_a_video_s_address_is_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(BadPayload) as refused:
        check_video_url("videoUrl", url)
    [error] = refused.value.errors
    assert error.field == "videoUrl" and said in error.message and len(error.message) < 200


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/@somebody",
        "https://www.youtube.com/playlist?list=PL1",
        "https://youtu.be/",
        "https://videos.example/watch?v=1",
        "https://youtube.com.example/watch?v=1",
    ],
)
def test_other_addresses_are_not_judged(url: str) -> None:
    check_video_url("url", url)
    assert youtube_id(url) is None
