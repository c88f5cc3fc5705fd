"""Every button of every page is pressed in a browser; the list of them is read from the templates."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect  # noqa: TID253  these tests are a browser's alone

import secondunit.daemon.dashboard
from secondunit.daemon.dashboard.texts import read_catalogue
from tests.e2e.conftest import Daemon, installed_plugin, served, starting
from tests.e2e.dashboard.conftest import Account, sign_in
from tests.e2e.dashboard.scene import FAILING, FILM, KEY, SCHEDULES, SOURCES, submitted, until
from tests.ffmpeg import made

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]
TEMPLATES = Path(secondunit.daemon.dashboard.__file__).parent / "templates"
CONTROL = re.compile(r"<(button|a)\b((?:[^<>]|{[{%].*?[}%]})*?)>(.*?)</\1>", re.DOTALL)
ASKED = re.compile(r"""t\(["']([\w.]+)["'](?: ~ (\w+))?""")
WATCH = """
document.addEventListener("click", (event) => {
  const control = event.target.closest("button, a.button, [data-key]");
  if (control) window.pressed(control.textContent.replace(/\\s+/g, " ").trim());
}, true);
"""


def controls() -> set[str]:
    """The keys of the texts that stand on the buttons of all templates; of a choice its beginning."""
    found = set()
    for file in TEMPLATES.rglob("*.html"):
        for kind, attributes, inner in CONTROL.findall(file.read_text()):
            if kind == "button" or 'class="button' in attributes or "data-key" in attributes:
                keys = ASKED.findall(inner)
                assert keys, (file.name, inner)
                found |= {key + ("*" if end else "") for key, end in keys}
    return found


def said(key: str) -> Sequence[re.Pattern[str]]:
    """What such a button says in English, one of several words."""
    keys = [one for one in ENGLISH if one.startswith(key[:-1])] if key.endswith("*") else [key]
    texts = [text for one in keys for text in ENGLISH[one].split("|")]
    return [re.compile(re.sub(r"\\{.*?\\}", ".+", re.escape(text)) + r"(?: \W*\d*)?") for text in texts]


CONTROLS, ENGLISH = controls(), read_catalogue()["en"]

CUT_SHORT = {"jobs.yes_so_far.*"}  # of a search that would take too long: tests/http/dashboard/test_actions.py


def unpressed(pressed: Sequence[str]) -> set[str]:
    """The controls of which none was pressed."""
    return {key for key in CONTROLS if not any(one.fullmatch(text) for one in said(key) for text in pressed)}


def test_what_was_not_pressed_is_found() -> None:
    assert {"job.send_again", "submit.send", "frame.logout", "jobs.yes.*", "keys.close"} <= CONTROLS
    left = unpressed(["Send again", "Cancel 3", "Shortcuts ?"])
    assert left >= {"submit.send", "frame.logout"} and not left & {"job.send_again", "jobs.yes.*", "frame.keys"}


class Receiver(BaseHTTPRequestHandler):
    """Wants no more at first, and takes what comes later."""

    def __init__(self, came: list[str], *args: Any) -> None:
        self.came = came
        super().__init__(*args)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append(self.headers["webhook-id"])
        self.send_response(204 if len(self.came) > 1 else 410)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """To nobody."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("upload") / "film.mp4", *SOURCES, *FILM)


@pytest.fixture(scope="module")
def came() -> list[str]:
    """The ids of what the receiver was sent."""
    return []


@pytest.fixture(scope="module")
def receiver(came: list[str]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Receiver, came))
    with served(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/done"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that takes videos, with a schedule and a type that fails."""
    folder = tmp_path_factory.mktemp("pressed")
    installed_plugin(folder / "plugins", "failer", FAILING)
    (folder / "config.toml").write_text(SCHEDULES)
    with starting(folder) as start:
        yield start(
            API_KEY=KEY,
            CONCURRENCY_SLEEP="1",
            SECONDUNIT_CONFIG=str(folder / "config.toml"),
            ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8",
            GEMINI_API_KEY="a-key-that-nobody-asks-for",
            GEMINI_BASE_URL="http://127.0.0.1:9",
            RATE_LIMIT="off",
        ).ready()


@pytest.fixture
def pressed(signed_out: Page) -> list[str]:
    """What stands on each button that is pressed, on all pages."""
    told: list[str] = []
    signed_out.context.expose_function("pressed", lambda *texts: told.extend(texts))
    signed_out.context.add_init_script(WATCH)
    return told


def press(page: Page, name: str, *, kind: Literal["button", "link"] = "button") -> None:
    """A button, or a link that looks like one, by what stands on it."""
    page.get_by_role(kind, name=name, exact=True).first.click()


def jobs(page: Page, daemon: Daemon) -> None:
    """The list, its questions and its pages."""
    page.goto("/jobs?q=type:clip+status:failed")
    press(page, "Retry all that match", kind="link")
    press(page, "No, go back", kind="link")
    press(page, "Search")
    page.locator("tr[data-row]").first.get_by_role("link", name="Retry").click()
    press(page, "Retry it")
    page.goto("/jobs?q=type:clip")
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Retry chosen").click()
    page.get_by_role("button", name=re.compile("^Retry ")).click()
    page.goto("/jobs?q=type:sleep+status:queued")
    press(page, "Older", kind="link")
    press(page, "Newest", kind="link")
    page.locator("tr[data-row] input").first.check()
    page.get_by_role("button", name="Cancel chosen").click()
    press(page, "Cancel it")
    page.locator("tr[data-row]").first.get_by_role("link", name="Cancel").click()
    press(page, "Cancel it")
    press(page, "Cancel all that match", kind="link")
    press(page, "No, go back", kind="link")
    page.goto("/jobs/confirm?do=retry")
    press(page, "Back", kind="link")
    page.goto("/jobs/confirm?do=retry&all=1&q=zzzz")
    press(page, "Back", kind="link")
    press(page, "New job", kind="link")
    page.goto("/nowhere")
    press(page, "To the overview", kind="link")


def one_job(page: Page, daemon: Daemon, receiver: str, came: list[str]) -> None:
    """Its page; a delivery that was given up is sent again, and arrives."""
    ask = {"type": "clip", "payload": {"inputPath": "/a"}, "callback": receiver, "retryPolicy": {"maxRetries": 0}}
    id = str(daemon.call("POST", "/api/jobs", ask, X_API_Key=KEY).body["jobId"])
    page.goto(f"/jobs/{id}")
    expect(page.locator("#live_deliveries .dead")).to_have_text("given up", timeout=30_000)
    press(page, "Send again")
    expect(page.get_by_role("status").first).to_have_text("It is sent again now.")
    expect(page.locator("#live_deliveries .delivered")).to_have_text("delivered", timeout=30_000)
    tries = page.locator(".tries li")
    expect(tries).to_have_count(2)
    expect(tries.first).to_contain_text("204")
    expect(tries.last).to_contain_text("410")
    assert len(came) == 2 and came[0] == came[1], "sent again under its id"
    page.get_by_text("As a curl command").click()
    press(page, "Copy")
    press(page, "Run again with changes", kind="link")
    press(page, "Back to the jobs", kind="link")
    page.goto(f"/jobs/{id}")
    press(page, "Retry", kind="link")
    press(page, "No, go back", kind="link")
    page.goto(f"/jobs/{submitted(daemon, 'sleep', {'seconds': 600})}")
    press(page, "Cancel", kind="link")
    press(page, "Cancel it")


def upload(page: Page, film: Path) -> None:
    """The form of a type, and a video from this computer."""
    page.goto("/submit?type=sleep")
    press(page, "Submit")
    expect(page.get_by_role("status").first).to_have_text("The job is submitted.")
    page.goto("/submit?type=analyze")
    page.get_by_label("Video", exact=True).set_input_files(film)
    page.get_by_label("Language of the recipe").fill("en")
    press(page, "Upload and analyse")
    expect(page.get_by_role("heading", name="analyze")).to_be_visible(timeout=30_000)
    expect(page.locator("pre", has_text="videoPath").first).to_be_visible()


def types_boxes_and_schedules(page: Page) -> None:
    page.goto("/types")
    card = page.locator("#type_sleep")
    for name, told in (("Pause", "sleep is paused"), ("Resume", "sleep is resumed")):
        card.get_by_role("button", name=name).click()
        expect(page.get_by_role("status")).to_contain_text(told)
    card.get_by_label("At once").fill("2")
    card.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text("sleep runs 2 at once")
    page.goto("/boxes")
    for name, told in (("Drain", "starts nothing more"), ("Resume", "starts jobs again")):
        press(page, name)
        expect(page.get_by_role("status")).to_contain_text(told)
    page.goto("/schedules")
    for name, told in (("Pause", "is paused"), ("Resume", "comes again"), ("Run now", "A job of nightly site")):
        press(page, name)
        expect(page.get_by_role("status")).to_contain_text(told)
    page.goto("/errors")
    press(page, "Retry all of these", kind="link")
    press(page, "No, go back", kind="link")


def batches(page: Page, daemon: Daemon) -> None:
    def batch(*jobs: dict[str, Any]) -> str:
        asked = {"name": "films", "jobs": [{"type": "sleep", "payload": {"seconds": 600}} | job for job in jobs]}
        return str(daemon.call("POST", "/api/jobs/batch", asked, X_API_Key=KEY).body["batchId"])

    failing = {"type": "clip", "payload": {"inputPath": "/films/x.mov"}, "retryPolicy": {"maxRetries": 0}}
    page.goto(f"/batches/{batch(failing, *[{}] * 150)}?level=1")
    press(page, "Next", kind="link")
    press(page, "From the beginning", kind="link")
    press(page, "Retry what failed", kind="link")
    press(page, "No, go back", kind="link")
    press(page, "Cancel what is left", kind="link")
    page.get_by_role("button", name=re.compile("^Cancel ")).click()
    expect(page.get_by_role("status")).to_contain_text("cancelled")


def keys_and_system(page: Page) -> None:
    page.goto("/keys")
    page.get_by_label("Name").fill("the site")
    page.get_by_label("submit").check()
    press(page, "Make the key")
    press(page, "Back", kind="link")
    page.get_by_role("link", name="Revoke").click()
    press(page, "No, go back", kind="link")
    page.get_by_role("link", name="Revoke").click()
    press(page, "Revoke it")
    page.goto("/audit")
    press(page, "Search")
    page.goto("/system")
    press(page, "Examine it now", kind="link")
    press(page, "Again", kind="link")


def frame(page: Page) -> None:
    press(page, "Shortcuts ?")
    press(page, "Close")
    press(page, "繁體中文")
    press(page, "English")
    press(page, "Sign out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_every_action_of_every_page_is_pressed(
    signed_out: Page, daemon: Daemon, account: Account, pressed: list[str], film: Path, receiver: str, came: list[str]
) -> None:
    page = signed_out
    page.goto("/login")
    sign_in(page, KEY)
    for n in range(2):
        until(daemon, submitted(daemon, "clip", {"inputPath": f"/films/{n}.mov"}), "failed")
    for _ in range(60):
        submitted(daemon, "sleep", {"seconds": 600})
    jobs(page, daemon)
    one_job(page, daemon, receiver, came)
    upload(page, film)
    types_boxes_and_schedules(page)
    batches(page, daemon)
    keys_and_system(page)
    frame(page)
    assert unpressed(pressed) == CUT_SHORT
    assert [fault for fault in account.faults if "status of 404" not in fault] == []  # of the page that is not there
