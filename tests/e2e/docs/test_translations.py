"""Translations: each page for people at work has one, with the sections and the very commands of its original."""

from pathlib import Path

import pytest

from tests.e2e.docs.pages import DOCS, blocks, outline

THERE = DOCS / "zh-TW"
ORIGINALS = {
    THERE / to / page.name: page
    for folder, to in (("tutorial", ""), ("how-to", ""), ("runbooks", "runbooks"))
    for page in (DOCS / folder).glob("*.md")
}


def test_every_page_of_how_to_runbooks_and_the_tutorial_is_translated() -> None:
    assert set(THERE.rglob("*.md")) == ORIGINALS.keys()


@pytest.mark.parametrize("page", sorted(ORIGINALS), ids=lambda page: page.stem)
def test_a_translation_has_the_blocks_and_the_sections_of_its_original(page: Path) -> None:
    translated, original = page.read_text(), ORIGINALS[page].read_text()
    assert outline(translated) == outline(original)
    ours, theirs = ([block.text for block in blocks(text)] for text in (translated, original))
    assert ours == theirs != []
