"""The layout of the rooms: each is layered, none is crowded, and no two public classes in one share a name."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "secondunit"
MOST_FILES = 15

# Larger rooms: how many files they may have, and why.
CROWDED = {
    "secondunit/queue": (
        23,
        "the core: one file a box of the drawing in ARCHITECTURE.md, each at its place in a contract",
    ),
}


def rooms(package: Path) -> Mapping[str, Sequence[str]]:
    """Each folder of code that holds more than one module or folder, dotted, with the names in it."""
    found = {}
    for init in sorted(package.rglob("__init__.py")):
        folder = init.parent
        names = [file.stem for file in folder.glob("*.py") if file != init]
        names += [below.name for below in folder.iterdir() if (below / "__init__.py").exists()]
        if len(names) > 1:
            found[".".join(folder.relative_to(package.parent).parts)] = sorted(names)
    return found


def unlayered(package: Path, contracts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rooms for which no contract, or not exactly one, says of every module in it what it may know."""
    whole = [
        container
        for contract in contracts
        if contract["type"] == "layers" and contract.get("exhaustive")
        if not contract.keys() & {"ignore_imports", "exhaustive_ignores"}
        for container in contract["containers"]
    ]
    return [room for room in rooms(package) if whole.count(room) != 1]


def crowded(package: Path, allowed: Mapping[str, tuple[int, str]]) -> Mapping[str, int]:
    """The folders with more Python files than they may have, `__init__.py` included."""
    folders = {file.parent for file in package.rglob("*.py")}
    counts = {folder.relative_to(package.parent).as_posix(): len(list(folder.glob("*.py"))) for folder in folders}
    return {folder: n for folder, n in counts.items() if n > allowed.get(folder, (MOST_FILES, ""))[0]}


def namesakes(package: Path) -> Mapping[str, Sequence[str]]:
    """Public classes of one name that stand twice below one folder of the package, and where."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[path.parts[0], node.name].append(path.as_posix())
    return {name: files for (_, name), files in found.items() if len(files) > 1}


def test_every_room_has_a_contract_of_its_layers_that_leaves_nothing_out() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert unlayered(PACKAGE, contracts) == [], "give it a contract in pyproject.toml"


def test_no_room_is_crowded() -> None:
    assert crowded(PACKAGE, CROWDED) == {}, "which of its files make a room of their own?"
    roomy = [folder for folder in CROWDED if len(list((ROOT / folder).glob("*.py"))) <= MOST_FILES]
    assert roomy == [], "no exception is needed any more"


def test_no_two_public_classes_of_a_room_have_one_name() -> None:
    assert namesakes(PACKAGE) == {}, "rename each to what it tells"


def package_of(folder: Path, *files: str) -> Path:
    """A package with these files, each room with its `__init__.py`."""
    package = folder / "secondunit"
    for name in files:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"class {path.stem.title()}: ...\n")
    for room in {path.parent for path in package.rglob("*.py")} | {package}:
        (room / "__init__.py").touch()
    return package


def test_a_room_without_a_whole_contract_is_found(tmp_path: Path) -> None:
    package = package_of(tmp_path, "queue/state.py", "queue/model.py", "cli/main.py")
    top = {"type": "layers", "exhaustive": True, "containers": ["secondunit"]}
    queue = {"type": "layers", "exhaustive": True, "containers": ["secondunit.queue"]}
    assert unlayered(package, [top, queue]) == []  # `cli` has one module only
    assert unlayered(package, [queue]) == ["secondunit"]
    for breach in ({"exhaustive": False}, {"type": "acyclic_siblings"}, {"ignore_imports": ["a -> b"]}):
        assert unlayered(package, [top, queue | breach]) == ["secondunit.queue"]
    assert unlayered(package, [top, queue, queue]) == ["secondunit.queue"], "two drawings of one room"


def test_a_crowded_room_is_found(tmp_path: Path) -> None:
    package = package_of(tmp_path, *(f"queue/m{n}.py" for n in range(MOST_FILES)))
    assert crowded(package, {}) == {"secondunit/queue": MOST_FILES + 1}
    assert crowded(package, {"secondunit/queue": (MOST_FILES + 1, "why")}) == {}


def test_two_classes_of_one_name_in_a_room_are_found(tmp_path: Path) -> None:
    package = package_of(tmp_path, "queue/found.py", "queue/stores/found.py", "cli/found.py")
    assert namesakes(package) == {"Found": ["queue/found.py", "queue/stores/found.py"]}
