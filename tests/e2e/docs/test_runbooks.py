"""Runbooks: each block of commands names the box on which `tests/e2e/service` runs it."""

import re
import subprocess
from pathlib import Path

import pytest

from secondunit.daemon.config.loader import load
from tests.e2e.conftest import CHECKOUT
from tests.e2e.docs.pages import DOCS, Block, blocks

SETTINGS = "/etc/secondunit/config.toml"
READ = [*sorted(DOCS.rglob("*.md")), *sorted(CHECKOUT.glob("*.md")), CHECKOUT / "systemd/README.md"]
RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_each_block_of_a_runbook_is_run_on_a_box(page: Path) -> None:
    text = page.read_text()
    found = blocks(text)
    assert len(found) == text.count("```sh\n") == text.count("```") / 2 > 0
    assert [block.text for block in found if block.booted is None] == []
    assert "## It worked when" in text and "## If not" in text


def test_a_block_for_no_box_that_there_is_and_one_that_shows_nothing_said_are_found() -> None:
    assert Block('booted new mirror ""', "sh", "").booted == (["new", "mirror"], "")
    assert Block('booted old "whole"', "sh", "").booted == (["old"], "whole")
    assert [Block(mark, "sh", "").booted for mark in ('booted nowhere "x"', "booted old", 'run "x"', "")] == [None] * 4


def test_the_setting_of_the_first_media_folder_counts_in_a_file_with_tables(tmp_path: Path) -> None:
    [step] = [
        line
        for block in blocks((DOCS / "runbooks/install.md").read_text())
        for line in block.text.splitlines()
        if SETTINGS in line
    ]
    file = tmp_path / "config.toml"
    file.write_text("# settings\ndrain_seconds = 60\n[types.hls.retry]\nmax_retries = 1\n")
    subprocess.run(["sh", "-c", step.replace(SETTINGS, str(file))], check=True)
    found = load({"SECONDUNIT_CONFIG": str(file)})  # BadConfig where it landed in the table
    assert [str(root) for root in found.settings.media_roots] == ["/srv/media"]


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_page_adds_to_the_end_of_a_file_of_settings(page: Path) -> None:
    assert re.findall(r"(?:>>|tee -a|tee --append) *\S*\.toml", page.read_text()) == []
