"""Foreign text as logs and tables show it."""

import json
import unicodedata

import pytest

from secondunit.daemon.process.visible_text import visible, visible_json

DANGEROUS = {
    "a colour": ("\x1b[31m", "\\x1b[31m"),
    "a title of the terminal": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "a C1 control sequence": ("\x9b31m", "\\x9b31m"),
    "a C1 title": ("\x9d0;owned\x9c", "\\x9d0;owned\\x9c"),
    "a new line": ("a\nb\r\nc", "a\\nb\\r\\nc"),
    "other line breaks": ("a\x0b\x0c\x1c\x85\u2028\u2029b", "a\\x0b\\x0c\\x1c\\x85\\u2028\\u2029b"),
    "backspaces and tabs": ("a\x08\x7f\tb", "a\\x08\\x7f\\tb"),
    "turned text": ("gpj.\u202etxt\u2066\u200f", "gpj.\\u202etxt\\u2066\\u200f"),
    "unseen text": ("a\ufeff\u200b\u2060\U000e0041b", "a\\ufeff\\u200b\\u2060\\U000e0041b"),
    "half a character": ("a\ud83d", "a\\ud83d"),
}
HARMLESS = [
    "film.mp4",
    "Fußgänger – 東京 фильм",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "👩\u200d🚀",
    "a\u00a0b\u3000c",
]


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_a_terminal_would_obey_is_shown(name: str) -> None:
    text, shown = DANGEROUS[name]
    assert visible(text) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text and visible_json(json.dumps(text, ensure_ascii=False)) == json.dumps(
        text, ensure_ascii=False
    )


@pytest.mark.parametrize("name", DANGEROUS)
def test_json_shows_it_too_and_means_the_same(name: str) -> None:
    text, _ = DANGEROUS[name]
    shown = visible_json(json.dumps({"a": text}, ensure_ascii=False, indent=1))
    assert json.loads(shown) == {"a": text}
    shown.encode()
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Cf", "Zl", "Zp") for char in shown.replace("\n", ""))
