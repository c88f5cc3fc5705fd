"""Tools of others work from the document: a linter, generated types, and the Node client that is made of these."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.openapi.ours import COMMITTED, ROOT

NODE = ROOT / "tests" / "node"
CLIENT = ROOT / "clients" / "node"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the judges say of the committed document."""
    if shutil.which("node") is None or not (NODE / "node_modules" / "openapi-typescript").exists():
        pytest.skip("NO CLIENT IS COMPILED: no node, or no tests/node/node_modules; `make tests` has both")
    folder: Path = tmp_path_factory.mktemp("client")
    argv = ["node", str(NODE / "openapi_judges.mjs"), str(COMMITTED), str(CLIENT), str(folder)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_linter_of_openapi_has_nothing_to_say(judged: Any) -> None:
    assert judged["lint"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_typescript_client_that_submits_only_what_is_required_compiles(judged: Any) -> None:
    assert judged["types"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_node_client_has_the_types_of_the_document(judged: Any) -> None:
    assert not judged["drift"], "the API has changed: `make openapi` writes its types anew"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_checkout_of_the_node_client_has_its_declarations(judged: Any) -> None:
    assert judged["declarations"] == [], "what the client promises has changed: `make openapi` writes them anew"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_node_client_and_a_program_that_has_it_installed_compile_strictly(judged: Any) -> None:
    assert judged["client"] == [] and judged["user"] == []


def test_the_node_client_is_made_by_the_tools_that_judge_it() -> None:
    client, judges = (json.loads((home / "package.json").read_text()) for home in (CLIENT, NODE))
    assert client["devDependencies"].items() <= judges["dependencies"].items()
    assert "dependencies" not in client, "it comes alone"
