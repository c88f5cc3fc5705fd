"""What a page shows is so: its commands are the command's, its calls the API's, its settings settings.

Pages whose blocks are run as they stand are listed with the test that runs them; all others are held to the code here.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from secondunit.cli.main import secondunit
from secondunit.daemon.config.loader import load
from secondunit.daemon.config.settings import Settings
from tests.docs.shown import blocks, lines, pages, settings
from tests.openapi.ours import COMMITTED, ROOT

RUN: Mapping[str, str] = {
    "README.md": "tests/e2e/docs/test_readme.py",
    "systemd/README.md": "tests/e2e/service/test_booted.py",
    "docs/clients.md": "tests/e2e/clients/test_recipes.py",
    "clients/node/README.md": "tests/e2e/clients/test_recipes.py",
    "docs/job-types.md": "tests/e2e/docs/test_job_type.py",
    "docs/batches.md": "tests/unit/queue/graph/test_dependencies.py",
    "docs/reference": "tests/docs/test_reference.py",
    "docs/tutorial": "tests/e2e/docs/test_commands.py",
    "docs/how-to": "tests/e2e/docs/test_commands.py",
    "docs/runbooks": "tests/e2e/docs/test_runbooks.py",
}
# Blocks that are neither: what a program prints or a name stands for, and what another program than ours reads.
NEITHER: Mapping[str, Sequence[str]] = {
    "ARCHITECTURE.md": ("secondunit/", "remote > service", "queued --start-->"),
    "docs/s3.md": ("film/master.m3u8",),
    "docs/media.md": ("{",),  # a payload, and what it makes; tests/media/test_sprite.py cuts it out
    "docs/sight.md": ("status:failed",),  # of the search; tests/unit/queue/sight has its words
    "docs/sandbox.md": ('"sandbox": ',),  # of the log; tests/e2e/test_taken_over.py has its fields
    "docs/deploy.md": ("[Service]",),  # drop-ins of systemd
    "docs/download.md": ("[Service]",),
    "docs/keys.md": ("location / {",),  # nginx
}
DOCUMENT: Mapping[str, Any] = json.loads(COMMITTED.read_text())
KNOWN = set(re.findall(r'"(\w+)":', COMMITTED.read_text())) | {"checks", "remedy", "found"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
CALL = re.compile(r"curl .*?127\.0\.0\.1:8000(/[\w/.-]*)")
OTHERS = ("apt", "createdb", "git", "systemctl", "ln", "install", "node")
SHOWN = [
    pytest.param(page, block, id=f"{page}: {block.splitlines()[0][:40]}")
    for page, text in pages()
    if not any(page.startswith(run) for run in RUN)
    for block in blocks(text)
    if not block.startswith(tuple(NEITHER.get(page, ())) or "\0")
]


@pytest.mark.parametrize(("page", "block"), SHOWN)
def test_a_block_shows_what_there_is(page: str, block: str, tmp_path: Path) -> None:
    assert wrong(block, tmp_path) == [], page


def wrong(block: str, folder: Path) -> Sequence[str]:
    """What in a block is not so."""
    if settings(block) is not None:
        return _unloaded(block, folder)
    if "\n\n" in block:
        return [told for part in block.split("\n\n") for told in wrong(part, folder)]
    if block.lstrip().startswith(("{", '"')):
        return [f"{name} is no field" for name in re.findall(r'"(\w+)":', block) if name not in KNOWN]
    return [told for line in lines(block) for told in _wrong_line(line)]


def _unloaded(block: str, folder: Path) -> Sequence[str]:
    file = folder / "config.toml"
    file.write_text(block)
    try:
        load({"SECONDUNIT_CONFIG": str(file), "GEMINI_API_KEY": "of nobody"})
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is wrong with the page
        return [str(error)]
    return []


def _wrong_line(line: str) -> Sequence[str]:
    words = shlex.split(line.removeprefix("sudo "))
    while words and (given := re.fullmatch(r"([A-Z][A-Z0-9_]*)=.*", words[0])):
        if given[1].lower() not in Settings.model_fields and given[1] not in _foreign_variables():
            return [f"{given[1]} is no setting"]
        words = words[1:]
    match words:
        case []:
            return []
        case ["secondunit", *rest]:
            return _unknown(rest)
        case ["make", target, *_]:
            return [] if target in TARGETS else [f"make has no {target}"]
        case ["curl", *_]:
            return _no_call(line)
        case [program, *_] if program in OTHERS:
            return []
    # An answer below a call, which has the call's fields.
    fields = re.findall(r'"(\w+)":', line)
    return [f"{name} is no field" for name in fields if name not in KNOWN] if fields else [f"what is `{line}`?"]


def _foreign_variables() -> Sequence[str]:
    return ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL", "DATA_FILE")


def _unknown(words: Sequence[str]) -> Sequence[str]:
    command: click.Command = secondunit
    context = click.Context(secondunit)
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest.pop(0))
        if found is None:
            return [f"there is no command {' '.join(words)}"]
        command, context = found, click.Context(found, parent=context)
    try:
        command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return [f"secondunit {' '.join(words)}: {error.message}"]
    return []


def _no_call(line: str) -> Sequence[str]:
    found = CALL.search(line)
    if found is None:
        return [f"{line} calls nothing of ours"]
    asked = re.search(r" -X (\w+)", line)
    method = (asked[1] if asked else "POST" if " -d " in line else "GET").lower()
    for path, methods in DOCUMENT["paths"].items():
        if method in methods and re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), found[1]):
            body = re.search(r" -d '(.*)'", line)
            fields = re.findall(r'"(\w+)":', body[1]) if body else []
            return [f"{name} is no field" for name in fields if name not in KNOWN]
    return [f"there is no {method.upper()} {found[1]}"]


@pytest.mark.parametrize("page", RUN)
def test_a_page_that_is_run_names_a_test_that_reads_it(page: str) -> None:
    test = ROOT / RUN[page]
    assert test.exists() and Path(page).name.removesuffix(".md") in test.read_text()


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("secondunit keys add blog --scopes submit\n", "--scopes"),
        ("secondunit keyz\n", "no command"),
        ("make nothing\n", "make has no nothing"),
        ("curl 127.0.0.1:8000/api/nowhere\n", "no GET /api/nowhere"),
        ("curl 127.0.0.1:8000/api/jobs -d '{\"typo\": 1}'\n", "typo is no field"),
        ("NO_SETTING=1 secondunit run\n", "NO_SETTING is no setting"),
        ("drain_secondz = 3\n", "drain_secondz"),
        ('{"nobodysField": 1}\n', "nobodysField"),
        ("what is this\n", "what is"),
    ],
)
def test_what_is_not_so_is_found(block: str, told: str, tmp_path: Path) -> None:
    [found] = wrong(block, tmp_path)
    assert told in found
