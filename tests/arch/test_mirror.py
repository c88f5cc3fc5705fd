"""The unit tests stand where their rooms stand: `tests/unit/X` is for `secondunit/X`."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def homeless(tests: Path, package: Path) -> list[str]:
    """The files below `tests` whose folder is neither a room of `package` nor one module of a room."""
    files = sorted(file for file in tests.rglob("*") if file.is_file() and file.suffix != ".pyc")
    homes = {file: package / file.parent.relative_to(tests) for file in files}
    return [
        str(file.relative_to(tests))
        for file, home in homes.items()
        if home == package or not ((home / "__init__.py").exists() or home.with_suffix(".py").exists())
    ]


def test_each_unit_test_lies_in_the_folder_of_its_room() -> None:
    assert homeless(ROOT / "tests" / "unit", ROOT / "secondunit") == [], "move it beside the room that it tests"


def test_a_test_in_a_folder_that_is_no_room_is_found(tmp_path: Path) -> None:
    package, tests = tmp_path / "secondunit", tmp_path / "unit"
    for file in (package / "rooms" / "__init__.py", package / "rooms" / "attic.py"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for name in ("rooms/test_a.py", "rooms/attic/test_b.py", "rooms/cellar/test_c.py", "garden/test_d.py", "test_e.py"):
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        (tests / name).touch()
    assert homeless(tests, package) == ["garden/test_d.py", "rooms/cellar/test_c.py", "test_e.py"]
