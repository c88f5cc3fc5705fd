"""Message catalogue: every text of the pages in each language, from one file, and the language that a reader wants."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secondunit.queue.sentences import Sentence
from secondunit.queue.value import Value

FILE = Path(__file__).parent / "texts.toml"
LANGUAGES = ("en", "zh-Hant")
SIMPLIFIED = ("zh-cn", "zh-sg", "zh-hans")
SAID = "said"
Catalogue = Mapping[str, Mapping[str, str]]


class Texts(Value, frozen=True):
    """The catalogue in one language. Before a `|` stands what a text is for one (`n` is 1), after it for all others."""

    language: str
    catalogue: Mapping[str, str]

    def __call__(self, key: str, **values: Any) -> str:
        """The text of this key, its `{names}` filled in."""
        text = self.catalogue[key]
        one, bar, many = text.partition("|")
        if bar:
            text = one if values.get("n") == 1 else many
        return text.format(**values)

    def said(self, text: str) -> str:
        """What the daemon says in English, in this language as far as the catalogue has it: its template, filled in."""
        template = text.template if isinstance(text, Sentence) else text
        words = self.catalogue.get(f"{SAID}.{template}")
        if words is None or not isinstance(text, Sentence):
            return words or text
        return words.format(**{name: self._argument(value) for name, value in text.arguments.items()})

    def knows(self, text: str) -> bool:
        """Whether the text is in this language once it is `said`."""
        return self.language == LANGUAGES[0] or f"{SAID}.{getattr(text, 'template', text)}" in self.catalogue

    def _argument(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return self("frame.comma").join(str(self._argument(one)) for one in value)
        return self.said(value) if isinstance(value, str) else value

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key that may not be there, such as the remedy of a new condition."""
        return self.catalogue.get(key, otherwise)


def read_catalogue(file: Path = FILE) -> Catalogue:
    """The catalogue of each language, keys dotted; blocks."""
    tables = tomllib.loads(file.read_text())
    said: Mapping[str, str] = tables.pop(SAID)
    rows = dict(_flat(tables)) | {f"{SAID}.{english}": [english, other] for english, other in said.items()}
    rows |= {f"{SAID}.{row[0]}": row for row in tables["remedies"].values()}
    return {language: {key: row[place] for key, row in rows.items()} for place, language in enumerate(LANGUAGES)}


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for name, value in table.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


def language_of(chosen: str | None, accepted: str) -> str:
    """What the reader chose, else the best of Accept-Language (RFC 9110, 12.5.4), else English."""
    if chosen in LANGUAGES:
        return chosen
    weighed: list[tuple[float, str]] = []
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        weighed.append((_weight(weight), tag.strip()))
    spoken = (_spoken(tag) for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0)
    return next(filter(None, spoken), LANGUAGES[0])


def _weight(text: str) -> float:
    name, _, value = text.replace(" ", "").partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" else 0.0
    except ValueError:
        return 0.0


def _spoken(tag: str) -> str | None:
    primary = tag.partition("-")[0]
    if primary == "zh" and not tag.startswith(SIMPLIFIED):
        return "zh-Hant"
    return "en" if primary == "en" else None
