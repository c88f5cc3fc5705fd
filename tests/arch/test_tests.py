"""Tests that could not fail, or that stand on another test file: without a check, content with any error, unread."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

ANY_ERROR = {"Exception", "BaseException"}
# These are raised for a hundred reasons: which it was stands in their fields or their message.
OF_MANY_REASONS = {"BadPayload", "BadConfig", "ValidationError"}
# Statuses that have one reason each; what another was for stands in its problem document.
OF_ONE_REASON = {401, 403, 404, 405, 429}


@cache  # and not at import: every worker of a test run would carry the trees
def ours() -> Mapping[str, ast.AST]:
    """All tests, and what they share."""
    files = [file for part in ("tests", "secondunit/testing") for file in sorted((ROOT / part).rglob("*.py"))]
    return {str(f.relative_to(ROOT)): ast.parse(f.read_text()) for f in files if "node_modules" not in f.parts}


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method; no expression holds one, so none is looked through."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function):
            yield child
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from functions(child)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the last part of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield last_name(node.func), node


def last_name(called: ast.expr) -> str:
    """Without `ast.unparse`, which takes a hundred times as long, for the two that nearly all are."""
    match called:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ast.unparse(called).rpartition(".")[2]


def asserts(function: Function) -> bool:
    """Whether it says itself what must hold: an assert, an error that must come, or a wait that must end."""
    return any(map(_asserting, ast.walk(function)))


def _asserting(node: ast.AST) -> bool:
    match node:
        case ast.Assert():
            return True
        case ast.Call(func=ast.Name("raises") | ast.Attribute(attr="raises")):
            return True
        case ast.Call(func=ast.Attribute(ast.Name("asyncio"), "timeout")):
            return True
        case _:
            return False


def unchecked(trees: Mapping[str, ast.AST]) -> list[str]:
    """Tests that neither assert anything nor call, directly, something of ours that does."""
    checking = {name for tree in trees.values() for name in _checking(tree)}
    return [
        f"{file}::{function.name}"
        for file, tree in trees.items()
        for function in functions(tree)
        if function.name.startswith("test_") and not asserts(function)
        if not any(name in checking for name, _ in calls(function))
    ]


def _checking(tree: ast.AST) -> set[str]:
    """The names of what asserts something, and of the methods that leave it to another of their object's."""
    asserting = {function: asserts(function) for function in functions(tree)}
    own = {function.name for function, does in asserting.items() if does}
    others = (function for function, does in asserting.items() if not does)
    return own | {function.name for function in others if own & set(_own_methods(function))}


def _own_methods(function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(ast.Name("self"), name)):
                yield name


def easily_pleased(trees: Mapping[str, ast.AST]) -> list[str]:
    """Where any error will do, or one that has many reasons is not looked at."""
    found = []
    for file, tree in trees.items():
        looked_at = {
            item.context_expr
            for node in ast.walk(tree)
            if isinstance(node, ast.With | ast.AsyncWith)
            for item in node.items
            if item.optional_vars is not None
        }
        for name, call in calls(tree):
            if name != "raises" or not call.args:
                continue
            kinds = call.args[0].elts if isinstance(call.args[0], ast.Tuple) else [call.args[0]]
            named = {ast.unparse(kind).rpartition(".")[2] for kind in kinds}
            blind = call not in looked_at and not call.keywords
            if named & ANY_ERROR or (blind and named & OF_MANY_REASONS):
                found.append(f"{file}:{call.lineno}")
    return found


def unread(trees: Mapping[str, ast.AST]) -> list[str]:
    """Where a refusal is expected by a status that has many reasons, and its problem document is thrown away."""
    return [
        f"{file}:{call.lineno}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        for _, call in calls(node)
        for keyword in call.keywords
        if keyword.arg == "status" and isinstance(keyword.value, ast.Constant)
        if isinstance(status := keyword.value.value, int) and status >= 400 and status not in OF_ONE_REASON
    ]


def borrowing(trees: Mapping[str, ast.AST]) -> list[str]:
    """Test files that take something of another test file, which can then be neither split nor renamed."""
    return [
        f"{file}: {node.module}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests.")
        if node.module.rpartition(".")[2].startswith("test_")
    ]


def test_no_test_file_takes_something_of_another() -> None:
    assert borrowing(ours()) == [], "what two need lies in a conftest.py, or a file that is no test"
    planted = {"test_a.py": ast.parse("from tests.unit.test_b import Scene\nfrom tests.unit.scene import Scene")}
    assert borrowing(planted) == ["test_a.py: tests.unit.test_b"]


def test_every_test_checks_something() -> None:
    assert unchecked(ours()) == []


def test_no_test_is_content_with_any_error() -> None:
    assert easily_pleased(ours()) == [], "say which: `match=`, or look at its fields"


def test_what_a_refusal_says_is_looked_at() -> None:
    assert unread(ours()) == [], "any 422 will do? look at the fields of the problem"


PLANTED = """
def helper(): assert True
def test_a(): helper()
def test_b(): print("fine")
def test_c():
    with pytest.raises(Exception, match="x"): pass
    with pytest.raises((BadPayload, OSError)): pass
    with pytest.raises(BadPayload) as refused: pass
    with pytest.raises(JobNotFound): pass
async def test_d(house):
    await house.call("GET", "/", status=422)
    await house.call("GET", "/", status=404)
    assert (await house.call("GET", "/", status=422))["errors"]
"""


def test_tests_that_could_not_fail_are_found() -> None:
    planted = {"planted.py": ast.parse(PLANTED)}
    assert unchecked(planted) == ["planted.py::test_b"]
    assert easily_pleased(planted) == ["planted.py:6", "planted.py:7"]
    assert unread(planted) == ["planted.py:11"]
