"""Template engine of the pages: Jinja with autoescaping, where a name that is not there is an error."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from secondunit.daemon.dashboard.assets import Asset, read_assets
from secondunit.daemon.dashboard.page import Shown, Visit
from secondunit.daemon.dashboard.texts import Catalogue, Texts, read_catalogue
from secondunit.daemon.formats import instant, size, span
from secondunit.queue.payloads.json_text import dump

FOLDER = Path(__file__).parent / "templates"
LIVE = "live"


class Renderer:
    """All templates, texts and static files, read when it is made: that blocks, nothing after it does."""

    def __init__(self) -> None:
        import jinja2  # not for a daemon at whose pages nobody looks

        self.assets: Mapping[str, Asset] = read_assets()
        self.catalogue: Catalogue = read_catalogue()
        sources = {file.relative_to(FOLDER).as_posix(): file.read_text() for file in FOLDER.rglob("*.html")}
        self._engine = jinja2.Environment(
            loader=jinja2.DictLoader(sources),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._engine.filters |= {"instant": instant, "span": span, "bytes": size, "number": number, "json": _json}
        # Not imported by each page: a part of one that is rendered by itself knows nothing of its template's imports.
        self._engine.globals |= {"asset": self._asset, "parts": self._engine.get_template("parts.html").module}
        for name in sources:
            self._engine.get_template(name)

    def texts(self, language: str) -> Texts:
        """The texts of a language."""
        return Texts(language, self.catalogue[language])

    def page(self, visit: Visit, shown: Shown, frame: dict[str, Any]) -> str:
        """The whole page; `frame` is what is around each."""
        return self._engine.get_template(shown.template).render(self._values(visit, shown) | frame)

    def is_live(self, template: str) -> bool:
        """Whether a page of this template has parts that change while it is open."""
        return any(name.startswith(LIVE) for name in self._engine.get_template(template).blocks)

    def live(self, visit: Visit, shown: Shown) -> Iterator[tuple[str, str]]:
        """The parts of the page that change while it is open, by their ids: its blocks whose names begin so."""
        template = self._engine.get_template(shown.template)
        for name, block in template.blocks.items():
            if name.startswith(LIVE):
                yield name, "".join(block(template.new_context(self._values(visit, shown))))

    def _values(self, visit: Visit, shown: Shown) -> dict[str, Any]:
        return {**shown.values, "visit": visit, "t": visit.texts, "now": visit.api.clock.now()}

    def _asset(self, name: str) -> str:
        return f"/assets/{self.assets[name].mark}/{name}"


def number(count: float) -> str:
    """A number with its thousands set apart."""
    return f"{count:,}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> object:
    return instant(value) if isinstance(value, datetime) else json.loads(dump(value))
