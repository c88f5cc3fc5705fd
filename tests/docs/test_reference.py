"""docs/reference/ is made of the code, where everything has a meaning; `make reference` writes it anew."""

import json
import os
from collections.abc import Mapping
from typing import Any

import click
import pytest

from secondunit.cli.main import secondunit
from secondunit.cli.reference.man_page import commands as all_commands
from tests.docs import calls, commands, events, payloads, settings
from tests.openapi.ours import COMMITTED, ROOT

PLAIN = ("type", "payload")
FOLDER = ROOT / "docs" / "reference"
DOCUMENT: Mapping[str, Any] = json.loads(COMMITTED.read_text())
PAGES = {
    "settings.md": settings.page(),
    "payloads.md": payloads.page(DOCUMENT),
    "calls.md": calls.page(DOCUMENT),
    "events.md": events.page(DOCUMENT),
    "commands.md": commands.page(),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_that_of_the_code(name: str) -> None:
    if os.environ.get("WRITE_DOCS"):
        (FOLDER / name).write_text(PAGES[name])
    assert (FOLDER / name).read_text() == PAGES[name], "`make reference` writes it anew"


def test_no_other_page_is_there() -> None:
    assert {file.name for file in FOLDER.iterdir()} == PAGES.keys()


def test_every_setting_has_a_meaning() -> None:
    assert [name for name, meaning in settings.told() if not meaning.text] == []


def test_every_field_of_a_payload_has_a_meaning() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    found = [
        (name, *field)
        for name in ("SubmitHls", *payloads.payload_names(schemas))
        for field in payloads.fields(schemas, name)
    ]
    assert len(found) > 30
    bare = [f"{name}.{field}" for name, field, schema, _ in found if not _told(schema) and field not in PLAIN]
    assert bare == [], "say in its Field(description=...) what it means"


def _told(schema: Mapping[str, Any]) -> bool:
    """Whether there is more than the default."""
    return not schema.get("description", "Default: ").startswith("Default: ")


def test_every_call_says_what_it_does() -> None:
    assert [f"{method} {path}" for method, path, one in calls.called(DOCUMENT) if not one["summary"]] == []


def test_every_event_and_callback_has_a_meaning_and_nothing_else_has() -> None:
    for there, meant in events.told(DOCUMENT):
        assert there == meant, "say in events.py what it means"


def test_every_command_and_option_has_a_meaning() -> None:
    bare = []
    for path, command in all_commands(secondunit, ()):
        bare += [" ".join(path)] * (not command.help)
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        bare += [f"{' '.join(path)} {one.opts[0]}" for one in options if not one.help]
    assert bare == []
