"""What yt-dlp and the sites behind it say, as the error of a job."""

from datetime import timedelta

import pytest

from secondunit.handlers.tools.fetching.host_pauses import HostPauses
from secondunit.handlers.tools.fetching.ytdlp.faults import YtDlpFault, clean, judge
from secondunit.queue.outcome import DISK_FULL, Deterministic, Postponed, Transient
from secondunit.testing.clock import ManualClock
from tests.arch.redos import limited

URL = "https://video.example/watch?v=1"


def fault(
    message: str = "",
    *names: str,
    refused: str | None = None,
    status: int | None = None,
    retry_after: str | None = None,
    errno: int | None = None,
    expected: bool = False,
) -> YtDlpFault:
    return YtDlpFault(("DownloadError", *names), message, refused, status, retry_after, errno, expected)


@pytest.mark.slow
def test_a_network_s_error_is_not_expected_whatever_yt_dlp_says() -> None:
    from yt_dlp.networking.exceptions import TransportError
    from yt_dlp.utils import ExtractorError

    from secondunit.handlers.tools.fetching.ytdlp import child

    assert child.fault(ExtractorError("This poll has no film", expected=True))["expected"]
    assert not child.fault(ExtractorError("Unable to extract title"))["expected"]
    try:
        raise TransportError("connection reset")
    except TransportError as error:
        failed = ExtractorError("Unable to download webpage", cause=error)
    assert failed.expected and not child.fault(failed)["expected"]


def test_what_yt_dlp_expects_is_the_site_s_last_word_and_a_status_says_more() -> None:
    error = judge(fault("ERROR: [site] 1: This poll has no film", expected=True), URL, 1)
    assert isinstance(error, Deterministic) and error.type == "site_refused" and "This poll has no film" in str(error)
    passing = judge(fault("ERROR: [site] 1: HTTP Error 503: Service Unavailable", expected=True), URL, 1)
    assert isinstance(passing, Transient)
    assert isinstance(judge(fault("ERROR: [site] 1: Unable to extract title"), URL, 1), Transient)


@pytest.mark.parametrize(
    ("said", "type"),
    [
        ("ERROR: [youtube] abc: Private video. Sign in if you've been granted access to this video", "private_video"),
        ("ERROR: [youtube] abc: This video is private", "private_video"),
        ("ERROR: [youtube] abc: Join this channel to get access to members-only content", "members_only"),
        ("ERROR: [youtube] abc: This video is available to this channel's members on level: Fan", "members_only"),
        ("ERROR: [youtube] abc: This video has been removed by the uploader", "video_removed"),
        ("ERROR: [youtube] abc: Video unavailable. This video is no longer available", "video_removed"),
        ("ERROR: [vimeo] 1: This video is not available in your country", "geo_blocked"),
        ("ERROR: [youtube] abc: Sign in to confirm your age", "forbidden"),
        ("ERROR: [site] 1: This video is DRM protected", "unsupported_url"),
        ("ERROR: [generic] x: No video formats found!; please report this issue on https://x", "unsupported_url"),
    ],
)
def test_what_a_site_says_is_told_in_a_stable_word(said: str, type: str) -> None:
    error = judge(fault(said), URL, 1)
    assert isinstance(error, Deterministic) and error.type == type
    assert str(error).startswith(URL) and "ERROR" not in str(error) and "report" not in str(error)


@pytest.mark.parametrize(
    ("said", "type", "least"),
    [
        ("ERROR: [youtube] abc: Sign in to confirm you’re not a bot. Use --cookies", "bot_check", timedelta(hours=1)),
        ("ERROR: [site] 1: HTTP Error 429: Too Many Requests", "rate_limited", timedelta(minutes=15)),
        ("ERROR: [site] 1: HTTP Error 503: Service Unavailable", "server_error", timedelta(minutes=1)),
    ],
)
def test_a_site_that_wants_rest_is_given_it(said: str, type: str, least: timedelta) -> None:
    error = judge(fault(said), URL, 1)
    assert isinstance(error, Transient) and (error.type, error.delay) == (type, least)


def test_the_wait_that_was_asked_for_counts() -> None:
    error = judge(fault("HTTP Error 429: x", status=429, retry_after="7"), URL, 1)
    assert isinstance(error, Transient) and error.delay == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("status", "type"),
    [(401, "forbidden"), (403, "forbidden"), (404, "not_found"), (410, "not_found"), (400, "http_error")],
)
def test_a_status_that_will_not_change_is_deterministic(status: int, type: str) -> None:
    error = judge(fault("Unable to download webpage", status=status), URL, 1)
    assert isinstance(error, Deterministic) and error.type == type


def test_a_word_in_the_url_is_not_a_reason() -> None:
    error = judge(fault("ERROR: timed out at https://x/private/login/removed"), URL, 1)
    assert isinstance(error, Transient) and error.type == "download_failed"


def test_the_disk_and_the_limit_have_their_own_words() -> None:
    assert {judge(fault("x", "OSError", errno=number), URL, 1).type for number in DISK_FULL} == {"disk_full"}
    assert judge(fault("x", "OSError", errno=27), URL, 1).type == "too_large"
    assert judge(fault("file:// URLs are disabled", "UnsupportedRequest"), URL, 1).type == "egress_denied"
    assert judge(fault("goes around the proxy", "PermissionError"), URL, 1).type == "egress_denied"


def test_a_file_that_ffmpeg_cant_read_is_given_up_the_second_time() -> None:
    said = fault("Invalid data found", "PostProcessingError")
    assert isinstance(judge(said, URL, 1), Transient)
    assert judge(said, URL, 2).type == "not_media"


def test_an_endless_message_is_cut() -> None:
    assert len(clean("x" * 10_000)) == 300


@pytest.mark.parametrize(
    "advice", ["please report this issue on GitHub", "(caused by <X>)", "See  https://x", "Use --x"]
)
def test_advice_for_users_of_yt_dlp_is_cut_off_with_what_leads_to_it(advice: str) -> None:
    assert clean(f"ERROR: [youtube] abc: it is gone;  {advice}\nand more") == "abc: it is gone"


def test_a_message_that_a_site_made_to_be_slow_is_not() -> None:
    assert clean("x" + " " * 500_000 + "y" + ";" * 500_000).split() == ["x"]


async def test_a_closed_gate_postpones_all_jobs_of_the_host_until_it_opens() -> None:
    clock = ManualClock()
    pauses = HostPauses(clock)
    pauses.close("video.example", timedelta(minutes=15), "it said so")
    pauses.pass_through("other.example")
    await clock.advance(60)
    with pytest.raises(Postponed, match="it said so") as caught:
        pauses.pass_through("video.example")
    assert caught.value.delay == timedelta(minutes=14)
    await clock.advance(14 * 60)
    pauses.pass_through("video.example")


async def test_a_host_that_asks_for_less_the_next_time_is_left_alone_for_as_long_as_it_said_first() -> None:
    clock = ManualClock()
    pauses = HostPauses(clock)
    pauses.close("video.example", timedelta(hours=1), "a robot?")
    pauses.close("video.example", timedelta(minutes=1), "too fast")
    await clock.advance(59 * 60)
    with pytest.raises(Postponed, match="a robot"):
        pauses.pass_through("video.example")
    await clock.advance(60)
    pauses.pass_through("video.example")


@pytest.mark.parametrize(
    "piece", [" ", "; ", "[", "ERROR: ", "See ", "(caused by", "https://a ", "available to ", "Use", "\r"]
)
def test_a_reason_phrase_of_any_length_is_judged_at_once(piece: str) -> None:
    said = "ERROR: [site] 1: HTTP Error 404: " + (piece * 24_000)[:64_000] + "x"
    with limited(0.3):
        error = judge(fault(said), URL, 1)
        clean(said)
    assert error.type == "not_found" and len(str(error)) < 1000


def test_what_a_child_tells_of_a_fault_is_cut_to_what_anybody_reads() -> None:
    told = {"names": ["DownloadError"], "message": "x" * 60_000, "refused": None, "status": 503, "errno": None}
    told["expected"] = False
    heard = YtDlpFault.of({**told, "retry_after": "9" * 60_000})
    assert len(heard.message) == 2000 and len(heard.retry_after or "") == 300
    assert judge(heard, URL, 1).type == "server_error"
