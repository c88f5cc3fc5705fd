"""Pages in Traditional Chinese: what the daemon says itself is said in it on every page, data stay."""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import secondunit
from secondunit.daemon.dashboard.texts import SAID, Texts, read_catalogue
from secondunit.daemon.http.transport.problems import REMEDIES
from secondunit.daemon.monitoring.condition_kinds import KINDS
from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.queue.model import Status
from secondunit.queue.outcome import Completed, Failed, JobError, Postpone
from secondunit.queue.sentences import say

PACKAGE = Path(secondunit.__file__).parent
DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
FOR_OTHERS = {"postponements.py"}  # modules that have templates for those who say them
PLACE = re.compile(r"{([a-z]+)}")
WORDS = re.compile(r"[A-Za-z][a-z']*(?: [A-Za-z][a-z']*){2,}")


def catalogue() -> dict[str, str]:
    chinese = read_catalogue()["zh-Hant"]
    return {key.removeprefix(f"{SAID}."): text for key, text in chinese.items() if key.startswith(f"{SAID}.")}


def templates() -> Iterator[str]:
    """The literals that are said: arguments of `say`, and what has places in a module that says something."""
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        if "import say" not in text and "import Sentence, say" not in text and file.name not in FOR_OTHERS:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                yield from (
                    one.value
                    for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and PLACE.search(node.value):
                yield node.value


def test_each_template_that_is_said_is_in_the_catalogue_with_places_that_it_has() -> None:
    known, said = catalogue(), set(templates())
    over = {one for one in said if "{subject}" in one}  # what alerts say, and no page
    assert said - known.keys() - over == set()
    described = tuple(text for text in re.findall(r'"description": "((?:[^"\\]|\\.)+)"', DOCUMENT.read_text()))
    about = [*REMEDIES.values(), *(kind.remedy for kind in KINDS), *(text.replace('\\"', '"') for text in described)]
    left = {key for key in known.keys() - said if not any(text.startswith(key) for text in about)}
    assert left - set(Status) == set(), "is said no more"
    for template in said & known.keys():
        assert set(PLACE.findall(known[template])) <= set(PLACE.findall(template)), template


def test_a_message_is_said_with_its_arguments_in_the_language() -> None:
    chinese = Texts("zh-Hant", read_catalogue()["zh-Hant"])
    told = say(
        "{line} and {slots}",
        line=say("{n} {type} jobs", n=2, type="hls"),
        slots=say("{n} of {of} slots is busy", n=1, of=1),
    )
    assert told == "2 hls jobs and 1 of 1 slots is busy"
    assert chinese.said(told) == "2 項 hls 工作，1 個執行名額中有 1 個使用中"
    assert (
        chinese.said(say("{n} running jobs do not move: {jobs}", n=2, jobs=["a", "b"]))
        == "2 項執行中的工作沒有進展：a、b"
    )
    assert chinese.said("what nobody put into the catalogue") == "what nobody put into the catalogue"
    assert chinese.knows(told) and not chinese.knows("what nobody put into the catalogue")


class Prose(HTMLParser):
    """What a page says outside of code and of what a job, a program or a caller wrote."""

    DATA = ("code", "pre", "script", "style", "time", "textarea")
    VOID = ("meta", "link", "input", "img", "br", "hr", "source")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.said += [told[name] or "" for name in ("aria-label", "title", "placeholder", "alt") if name in told]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not set(self._open) & set(self.DATA):
            self.said.append(re.sub(r"`[^`]*`", "", " ".join(data.split())))

    def english(self, data: tuple[str, ...]) -> list[str]:
        """Runs of English words that are in none of the data."""
        found = [words for text in self.said if not any(one in text for one in data) for words in WORDS.findall(text)]
        return sorted(set(found))


# What jobs, callers and programs wrote; it stays as it is.
DATA = (
    "no moov atom",
    "the quota is used up",
    "All is well and nobody knows",
    "a b c d",
    "the one that asks",
    "Second Unit",
)


async def seeded(harness: Any) -> list[str]:
    """Jobs in every status, paused, postponed and waiting; the pages that there are."""
    failed, waiting, running, done, paused, postponed = [
        await harness.submit("clip" if n == 4 else "idle", {"inputPath": "/a b c d.mov"} if n == 4 else {})
        for n in range(6)
    ]
    await harness.settle(failed, Failed(JobError("deterministic", "Broken", "no moov atom")))
    await harness.settle(done, Completed({"ok": True}))
    await harness.settle(postponed, Postpone(timedelta(seconds=5), "the quota is used up"))
    await harness.start(running)
    await harness.queue.pause("clip")
    child = await harness.submit("idle", dependsOn=[waiting])
    named = [f"/jobs/{id}" for id in (failed, waiting, running, done, paused, postponed, child)]
    asked = [f"/jobs/confirm?do=retry&id={failed}&back=/jobs", f"/submit?again={failed}", "/jobs?q=status:failed"]
    lists = [
        "/",
        "/jobs",
        "/types",
        "/boxes",
        "/batches",
        "/errors",
        "/schedules",
        "/backend",
        "/keys",
        "/audit",
        "/system",
    ]
    return [*lists, *named, *asked, "/submit", "/submit?type=clip", "/nowhere"]


async def test_no_page_speaks_english_to_a_reader_of_chinese(visit: Any) -> None:
    browser = await visit(language="zh-TW")
    harness = browser.harness
    found = [
        Condition(
            "stuck_jobs", say("{n} running jobs do not move: {jobs}", n=1, jobs=["job_a"]), harness.clock.now(), ""
        ),
        Condition(
            "disk_low", say("{n} MiB are free on the disk of {disk}", n=7, disk="DATA_DIR"), harness.clock.now(), ""
        ),
    ]
    harness.health = HealthReport(
        "degraded", ["x"], {}, found, [say("{types} is refused: GEMINI_API_KEY is not set", types="analyze")]
    )
    left: dict[str, list[str]] = {}
    for path in await seeded(harness):
        await browser.open(path, 404 if path == "/nowhere" else 200)
        english = Prose(await browser.answer.text()).english(DATA)
        if english:
            left[path] = english
    assert left == {}
