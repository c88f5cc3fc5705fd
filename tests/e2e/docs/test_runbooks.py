"""Runbooks: each block of commands names the box on which `tests/e2e/service` runs it; translations have the same."""

import re
from pathlib import Path

import pytest

from tests.e2e.docs.pages import DOCS, blocks, outline

RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))
MARKED = re.compile(r'^<!-- booted (?:old|standby|again|new) "[^"]*" -->\n```sh$', re.MULTILINE)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_each_block_of_a_runbook_is_run_on_a_box(page: Path) -> None:
    text = page.read_text()
    assert len(MARKED.findall(text)) == text.count("```sh\n") > 0
    assert "## It worked when" in text and "## If not" in text


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_translated_runbook_has_the_commands_of_its_original(page: Path) -> None:
    translated = DOCS / "zh-TW" / "runbooks" / page.name
    assert outline(translated.read_text()) == outline(page.read_text())
    ours, theirs = ([block.text for block in blocks(one.read_text())] for one in (translated, page))
    assert ours == theirs != []
