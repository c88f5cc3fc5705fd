"""What the benchmarks take from the package is there: nobody runs them often enough to be told otherwise."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def missing(tree: ast.AST) -> Iterator[str]:
    """The names that `tree` imports from the package, or reads of a module of it, and that are not there."""
    modules = dict[str, ModuleType]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("secondunit"):
            for alias in node.names:
                try:
                    found = getattr(importlib.import_module(str(node.module)), alias.name, None)
                    found = found or importlib.import_module(f"{node.module}.{alias.name}")
                except ImportError:
                    yield f"{node.module}.{alias.name}"
                else:
                    modules |= {alias.asname or alias.name: found} if isinstance(found, ModuleType) else {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            if not hasattr(module, node.attr):
                yield f"{module.__name__}.{node.attr}"


def test_what_benchmarks_import_from_the_package_is_there() -> None:
    files = sorted(BENCHMARKS.glob("*.py"))
    found = {file.name: names for file in files if (names := list(missing(ast.parse(file.read_text()))))}
    assert len(files) > 10 and found == {}


def test_what_is_not_there_is_found() -> None:
    imports = "from secondunit.queue.model import Job, Jobb\nfrom secondunit.queue import state, gone"
    wanted = ["secondunit.queue.model.Jobb", "secondunit.queue.gone", "secondunit.queue.state.lost"]
    assert list(missing(ast.parse(f"{imports}\nstate.retry, state.lost"))) == wanted
