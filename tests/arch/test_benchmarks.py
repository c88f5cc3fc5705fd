"""What the benchmarks take from the package is there: nobody runs them often enough to be told otherwise."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def missing(tree: ast.AST) -> Iterator[str]:
    """The names that `tree` imports from the package and that are not there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("secondunit"):
            for alias in node.names:
                try:
                    module = importlib.import_module(str(node.module))
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")
                except ImportError:
                    yield f"{node.module}.{alias.name}"


def test_what_benchmarks_import_from_the_package_is_there() -> None:
    files = sorted(BENCHMARKS.glob("*.py"))
    found = {file.name: names for file in files if (names := list(missing(ast.parse(file.read_text()))))}
    assert len(files) > 10 and found == {}


def test_what_is_not_there_is_found() -> None:
    code = "from secondunit.queue.model import Job, Jobb\nfrom secondunit.queue import state, gone"
    assert list(missing(ast.parse(code))) == ["secondunit.queue.model.Jobb", "secondunit.queue.gone"]
