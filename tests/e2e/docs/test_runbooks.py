"""Runbooks: each block of commands names the box on which `tests/e2e/service` runs it."""

import re
from pathlib import Path

import pytest

from tests.e2e.docs.pages import DOCS

RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))
MARKED = re.compile(r'^<!-- booted (?:old|standby|again|new) "[^"]*" -->\n```sh$', re.MULTILINE)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_each_block_of_a_runbook_is_run_on_a_box(page: Path) -> None:
    text = page.read_text()
    assert len(MARKED.findall(text)) == text.count("```sh\n") > 0
    assert "## It worked when" in text and "## If not" in text
