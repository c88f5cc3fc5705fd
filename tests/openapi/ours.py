"""The document of the job types that ship, as any daemon serves it, and the copy of it that is committed."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from secondunit import handlers
from secondunit.daemon.config.job_types import discover
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.sources import installed
from secondunit.daemon.http.contract.openapi.document import document
from secondunit.daemon.http.routes import ROUTES
from secondunit.handlers.tools.toolbox import Tools

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"


def ours(version: str) -> Mapping[str, Any]:
    """What a daemon of this version serves; types of other distributions, where any are installed, are left out."""
    shipped = [source for source in installed() if source.name.startswith(handlers.__name__)]
    tools = SimpleNamespace(gemini=object(), geocoder=None, deployments=None)  # a type that is built asks for no other
    found = discover(cast(Tools, tools), Settings.model_validate({}), shipped)
    assert not found.broken, found.broken
    return json.loads(json.dumps(document(ROUTES, version, found.specs)))  # type: ignore[no-any-return]
