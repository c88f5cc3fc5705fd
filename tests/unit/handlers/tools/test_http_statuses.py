"""HTTP statuses: every service's answers mean the same, but for the exceptions that are named here."""

from datetime import UTC, datetime

import pytest

from secondunit.handlers.tools import http_statuses
from secondunit.handlers.tools.fetching.browser import faults as browser
from secondunit.handlers.tools.fetching.ytdlp import faults as ytdlp
from secondunit.handlers.tools.gemini import errors as gemini
from secondunit.handlers.tools.gemini.transport import GeminiHttpError
from secondunit.handlers.tools.storage.s3 import errors as s3
from secondunit.queue.outcome import Deterministic, Postponed, Transient

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ERRORS = range(400, 600)
WORDS = {
    401: "forbidden", 403: "forbidden", 404: "not_found", 408: "server_error", 410: "not_found", 425: "server_error",
    429: "rate_limited", 451: "forbidden",
}  # fmt: skip
PASSING = {408, 425, 429, *range(500, 600)}


def test_the_table() -> None:
    assert {status: http_statuses.word(status) for status in ERRORS} == {status: word(status) for status in ERRORS}
    assert {status for status in ERRORS if http_statuses.passing(status)} == PASSING
    assert {status for status in ERRORS if http_statuses.in_trouble(status)} == PASSING - {408, 425}


def word(status: int) -> str:
    return WORDS.get(status, "server_error" if status >= 500 else "http_error")


def kind(status: int) -> type[Exception]:
    return Transient if status in PASSING else Deterministic


@pytest.mark.parametrize("status", ERRORS)
def test_a_website_s_answer_means_the_same_to_the_browser_and_to_yt_dlp(status: int) -> None:
    fault = ytdlp.YtDlpFault(("HTTPError",), "no", None, status, None, None)
    for error in (
        browser.judge(browser.BrowserFault("status", str(status)), "https://a", NOW),
        ytdlp.judge(fault, "https://a", 1),
    ):
        assert (type(error), error.type) == (kind(status), word(status))


@pytest.mark.parametrize("status", ERRORS)
def test_gemini_also_aborts_and_cancels_what_may_be_asked_again_and_its_quota_is_waited_for(status: int) -> None:
    expected = {409: Transient, 499: Transient, 429: Postponed}.get(status, kind(status))
    assert type(gemini.judge(GeminiHttpError(status, {}), "model", NOW).error) is expected


@pytest.mark.parametrize("status", ERRORS)
def test_s3_says_for_good_by_501_what_it_can_not_do(status: int) -> None:
    expected = Deterministic if status == 501 else kind(status)
    assert type(s3.trouble("s3://b/k", OSError(f"status code: {status}"))) is expected
