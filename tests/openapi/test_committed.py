"""docs/openapi.json is the document that a daemon serves; `make openapi` writes it anew."""

import json
import os
import tomllib

from tests.openapi.ours import COMMITTED, ROOT, ours


def test_the_committed_document_is_the_one_that_is_served() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    now = json.dumps(ours(version), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("WRITE_OPENAPI"):
        COMMITTED.write_text(now)
    assert COMMITTED.read_text() == now, "the API has changed: `make openapi` writes docs/openapi.json anew"
