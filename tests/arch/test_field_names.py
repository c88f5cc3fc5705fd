"""The names of fields stand in `daemon/http/contract` alone: endpoints hand over values and get values."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from secondunit.daemon.http.contract.openapi.document import document
from secondunit.daemon.http.routes import ROUTES

HTTP = Path(__file__).parents[2] / "secondunit" / "daemon" / "http"


def fields(schema: Any) -> Iterator[str]:
    """Every name of a property, and of a parameter of a query, in the document."""
    if isinstance(schema, Mapping):
        yield from schema.get("properties", ())
        if schema.get("in") == "query":
            yield schema["name"]
        for value in schema.values():
            yield from fields(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from fields(value)


def spelled_out(trees: Mapping[str, ast.AST], names: Collection[str]) -> list[str]:
    """Where one of these names is written, and where an endpoint puts an object together by itself."""
    found: list[tuple[str, int, str]] = []
    for file, tree in trees.items():
        if not file.startswith("contract/"):
            found += [(file, line, name) for line, name in words(tree) if name in names]
        if file.startswith("endpoints/"):
            found += [(file, line, name) for line, name in keys(tree) if name.isidentifier() and name[0].islower()]
    return [f"{file}:{line} {name}" for file, line, name in found]


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text and its line, but the names of parameters of a path."""
    of_paths = {
        id(node.slice)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("match_info")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in of_paths:
            yield node.lineno, node.value


def keys(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every key of a dict that a function puts together, and its line; those of headers begin with a capital."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                for key in node.keys if isinstance(node, ast.Dict) else ():
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.lineno, key.value


def test_no_field_is_named_outside_of_the_contract() -> None:
    # A name of one word stands for other things, too: only compound ones give themselves away.
    compound = {name for name in fields(document(ROUTES, "0")) if "_" in name or not name.islower()}
    trees = {file.relative_to(HTTP).as_posix(): ast.parse(file.read_text()) for file in sorted(HTTP.rglob("*.py"))}
    assert {"jobId", "nextCursor", "video_url", "lastEventId"} <= compound
    assert spelled_out(trees, compound) == [], "build it in a function of the contract"


def test_a_field_that_an_endpoint_names_is_found() -> None:
    tree = ast.parse(
        'def show(job):\n    """A doc of jobId."""\n    return {"status": job.status, "Location": job["jobId"]}\n'
    )
    assert spelled_out({"endpoints/jobs.py": tree}, {"jobId"}) == [
        "endpoints/jobs.py:3 jobId",
        "endpoints/jobs.py:3 status",
    ]
    assert spelled_out({"transport/replies.py": tree}, {"jobId"}) == ["transport/replies.py:3 jobId"]
    assert spelled_out({"contract/serialize.py": tree}, {"jobId"}) == []
