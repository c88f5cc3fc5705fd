"""Tools of others work from the document: a linter has nothing to say, and a client of generated types compiles."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.openapi.ours import COMMITTED, ROOT

NODE = ROOT / "tests" / "node"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the judges say of the committed document."""
    if shutil.which("node") is None or not (NODE / "node_modules" / "openapi-typescript").exists():
        pytest.skip("NO CLIENT IS COMPILED: no node, or no tests/node/node_modules; `make tests` has both")
    folder: Path = tmp_path_factory.mktemp("client")
    argv = ["node", str(NODE / "openapi_judges.mjs"), str(COMMITTED), str(folder)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_linter_of_openapi_has_nothing_to_say(judged: Any) -> None:
    assert judged["lint"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_typescript_client_that_submits_only_what_is_required_compiles(judged: Any) -> None:
    assert judged["types"] == []
