"""The pages of one job and of submitting in a browser, on a daemon with real films: all is pressed, all plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect  # noqa: TID253  these tests are a browser's alone

from tests.e2e.conftest import Daemon, installed_plugin, starting
from tests.e2e.dashboard.conftest import Account, sign_in
from tests.e2e.dashboard.scene import FAILING, FILM, KEY, SOURCES, submitted, until
from tests.ffmpeg import made

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of two seconds."""
    return made(tmp_path_factory.mktemp("media") / "film.mp4", *SOURCES, *FILM).parent


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[Daemon]:
    """One with nothing to do yet."""
    folder = tmp_path_factory.mktemp("looked-at")
    installed_plugin(folder / "plugins", "failer", FAILING)
    with starting(folder) as start:
        yield start(API_KEY=KEY, MEDIA_ROOTS=str(media), CONCURRENCY_SLEEP="1").ready()


@pytest.fixture
def page(signed_out: Page) -> Page:
    """Signed in, on the form."""
    signed_out.goto("/login?next=/submit")
    sign_in(signed_out, KEY)
    expect(signed_out.get_by_role("heading", name="New job")).to_be_visible()
    return signed_out


def test_a_stream_is_asked_for_by_the_form_and_plays_on_its_page(page: Page, account: Account, media: Path) -> None:
    page.get_by_role("link", name="hls", exact=True).click()
    page.get_by_label("inputPath").fill(f"{media}/film.mp4")
    page.get_by_label("outputDir").fill("/elsewhere")
    page.get_by_label("qualities").fill("144p")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("[id='payload.outputDir-hint'] .fault")).to_contain_text("MEDIA_ROOTS")
    assert page.get_by_label("inputPath").input_value() == f"{media}/film.mp4"
    page.get_by_text("Priority, callback and more").click()
    assert account.faults == [
        "Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
    ]
    account.faults.clear()  # which Chromium says of each refusal
    account.settled(page)
    page.get_by_label("outputDir").fill(f"{media}/stream")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("status").first).to_have_text("The job is submitted.")
    # It ends while somebody looks, and what it wrote comes onto the page.
    video = page.locator("video")
    expect(video).to_be_visible(timeout=60_000)
    video.evaluate("video => { video.muted = true; return video.play(); }")
    video.evaluate(
        "video => new Promise(done => { video.ontimeupdate = () => video.currentTime > 0.3 && done(true); })"
    )
    assert video.evaluate("video => video.videoWidth") == 256
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_role("button", name="Copy").click()
    account.settled(page)


def test_pictures_are_shown_and_a_job_is_run_again_with_changes(page: Page, account: Account, media: Path) -> None:
    page.get_by_role("link", name="thumbnail").click()
    page.get_by_label("videoPath").fill(f"{media}/film.mp4")
    page.get_by_label("outputPath").fill(f"{media}/sprite.jpg")
    page.get_by_label("sprite.columns").fill("2")
    page.get_by_label("sprite.rows").fill("2")
    page.get_by_role("button", name="Submit").click()
    picture = page.locator(".output img")
    expect(picture).to_be_visible(timeout=60_000)
    picture.evaluate("picture => picture.decode()")
    expect(page.get_by_role("link", name="sprite.vtt")).to_be_visible()
    account.settled(page)
    old = page.url
    page.get_by_role("link", name="Run again with changes").click()
    assert page.get_by_label("sprite.columns").input_value() == "2"
    page.get_by_label("outputPath").fill(f"{media}/again.jpg")
    page.get_by_label("sprite.columns").fill("3")
    account.settled(page)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("link", name=old.rpartition("/")[2])).to_be_visible()
    expect(page.get_by_role("link", name="again.jpg").first).to_be_visible(timeout=60_000)


def test_failed_waiting_and_running_jobs_are_moved_from_their_pages(
    page: Page, daemon: Daemon, account: Account
) -> None:
    failed = submitted(daemon, "clip", {"inputPath": "/films/a.mov"})
    until(daemon, failed, "failed")
    page.goto(f"/jobs/{failed}")
    expect(page.locator(".error pre")).to_contain_text("no moov atom")
    account.settled(page)
    page.keyboard.press("r")
    page.get_by_role("button", name="Retry it").click()
    expect(page.get_by_role("status").first).to_have_text("1 retried.")
    assert page.url.endswith(failed)
    running, waiting = [submitted(daemon, "sleep", {"seconds": 600}) for _ in range(2)]
    until(daemon, running, "running")
    page.goto(f"/jobs/{waiting}")
    expect(page.locator("#live_job")).to_contain_text("1 of 1 slots is busy")
    account.settled(page)
    page.locator("#live_job").get_by_role("link", name=running).click()
    expect(page.locator("#live_job progress")).to_be_visible()
    account.settled(page)
    page.keyboard.press("c")
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("status").first).to_have_text("1 cancelled.")
    page.goto(f"/jobs/{waiting}")
    expect(page.locator("#live_job progress")).to_be_visible()
    account.settled(page)
