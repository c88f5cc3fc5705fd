"""The documents name only what is there."""

import re
import tomllib
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import click
import pytest

from secondunit.cli.main import secondunit
from tests.arch.rules import HANDLERS_MAY_SEE

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md",
        "README.zh-TW.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "systemd/README.md",
    )
]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
TEXT = "\n".join(document.read_text() for document in DOCUMENTS)

LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PATH = re.compile(r"`((?:tests|daemon|handlers|queue|systemd|examples)/[\w./-]*)`")
MAKE = re.compile(r"(?:^ +|`)make (?:-C \S+ )?([a-z-]+)", re.MULTILINE)
COMMAND = re.compile(r"(?:bin/|\(BIN\)/|`)secondunit ([a-z]+)")
TEST = re.compile(r"`(tests/[\w/.]+|testing/[\w/.]+)::(test_\w+)`")


@pytest.mark.parametrize("document", [*DOCUMENTS, *PAGES], ids=lambda d: d.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    places = [document.parent / link for link in LINK.findall(text)]
    for path in PATH.findall(text):
        home = ROOT if (ROOT / path.partition("/")[0]).exists() else ROOT / "secondunit"
        places += [home / path]
    assert [str(place.relative_to(ROOT)) for place in places if not place.exists()] == []


def test_each_page_of_the_documentation_is_in_its_navigation() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(leaves(nav)) == [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]


def leaves(nav: Any) -> Iterator[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
    else:
        for below in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(below)


def test_each_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(TEXT)) - targets == set()


def test_each_command_that_is_named_exists() -> None:
    named = set(COMMAND.findall(TEXT)) | set(COMMAND.findall((ROOT / "Makefile").read_text()))
    assert {command for command in named if secondunit.get_command(click.Context(secondunit), command) is None} == set()


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "SECURITY.md", "docs/explanation/threats.md"])
def test_the_tests_that_are_named_exist(document: str) -> None:
    named = TEST.findall((ROOT / document).read_text())
    files = {file: ROOT / ("secondunit" if file.startswith("testing/") else "") / file for file, _ in named}
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in files[file].read_text()] == []


def test_every_threat_and_fault_is_tried_by_a_test() -> None:
    rows = re.findall(
        r"^\| (?!-|who |fault )(.*) \|$", (ROOT / "docs/explanation/threats.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 30
    assert [row for row in rows if not TEST.search(row.rpartition("|")[2])] == []


def test_every_invariant_is_held_by_a_test() -> None:
    rows = re.findall(r"^\| (I\d+) \|.*\|(.*)\|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert len(rows) == 12
    assert [name for name, held_by in rows if "::test_" not in held_by] == []


def test_the_plan_of_the_house_fits_on_three_pages() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("room", ["daemon", "daemon.http", "handlers.tools"])
def test_a_room_is_drawn_as_its_contract_layers_it(room: str) -> None:
    assert layers_drawn(room.rpartition(".")[2]) == layers_held(f"secondunit.{room}")


def test_the_drawing_of_the_queue_leaves_no_module_out() -> None:
    [drawing] = re.findall(r"inside the queue.*?\n\n(.*?)\n\n", ARCHITECTURE, re.DOTALL)
    drawn = re.findall(r"\w+", drawing)
    assert [name for layer in layers_held("secondunit.queue") for name in layer if name not in drawn] == []


def test_what_handlers_see_of_the_queue_is_told_in_full() -> None:
    [told] = re.findall(r"Handlers see of the queue only (.*?)\. ", ARCHITECTURE, re.DOTALL)
    assert set(re.findall(r"`(.*?)`", told)) == HANDLERS_MAY_SEE


def layers_drawn(folder: str) -> Sequence[Set[str]]:
    """The layers of a folder in the drawing of rooms, the topmost first."""
    [line] = re.findall(rf"^ +{folder}/ +(.*)$", ARCHITECTURE, re.MULTILINE)
    layers = re.sub(r" \(.*?\)", "", line.rpartition(": ")[2]).split(" > ")
    return [set(layer.split(" | ")) for layer in layers]


def layers_held(room: str) -> Sequence[Set[str]]:
    """The same by the contract that import-linter holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [held] = [contract["layers"] for contract in contracts if contract.get("containers") == [room]]
    return [set(layer.split(" | ")) for layer in held]


def test_committed_media_stays_small() -> None:
    media = (ROOT / "examples" / "media").iterdir()
    assert {file.name: file.stat().st_size for file in media if file.stat().st_size >= 300_000} == {}


def test_the_readme_fits_on_two_pages_and_pictures_stay_small() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
    pictures = (ROOT / "docs" / "images").iterdir()
    assert {file.name: file.stat().st_size for file in pictures if file.stat().st_size >= 150_000} == {}
