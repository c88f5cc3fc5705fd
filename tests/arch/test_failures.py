"""docs/failures.md lists what a job's error can be: it and the code name the same words, of the same kinds."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from secondunit.handlers.tools.fetching.browser import faults as browser
from secondunit.handlers.tools.fetching.ytdlp import faults as ytdlp
from secondunit.handlers.tools.http_statuses import passing
from secondunit.handlers.tools.http_statuses import word as word_of
from secondunit.handlers.tools.programs import failures as programs

ROOT = Path(__file__).parents[2]
CODE = ROOT / "secondunit"
PAGE = ROOT / "docs" / "failures.md"
ROWS = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
KINDS = {"Transient": "transient", "Deterministic": "deterministic"}
WORD = re.compile(r"[a-z]+(_[a-z]+)*")
# What a child program raises or tells, and where the daemon hands that on as it came.
OF_CHILDREN = {"ConversionRefused", "DownloadRefused"}
TOLD = {"told['error']", "answer['error']", "fault.refused", "refusal.type"}
HANDED_ON = {"_word(exception.type)"}  # a handler's own word, by `classify`

STATUSES = range(300, 600)
FINAL = {word_of(status) for status in STATUSES if not passing(status)}
PASSING = {word_of(status) for status in STATUSES if passing(status)}
OF_STATUS = {"transient": PASSING, "deterministic": FINAL}
# Where a word comes out of a table or an expression: `file function`, and what it can be.
COMPUTED: Mapping[str, Mapping[str, Collection[str]]] = {
    "deployment/commands.py run_command": {"deterministic": {"build_failed", "health_failed"}},
    "browser/faults.py _by_words": {"deterministic": {type for _, type, _ in browser.FINAL}},
    "browser/faults.py _by_status": OF_STATUS,
    "fetching/http_download.py _refuse": OF_STATUS,
    "ytdlp/faults.py _by_status": OF_STATUS,
    "ytdlp/faults.py _by_words": {
        "transient": ytdlp.WAITS,
        "deterministic": {type for _, type, _ in ytdlp.SAID} - set(ytdlp.WAITS),
    },
    "running/verdicts.py overdue": {"timeout": {"timeout", "stalled"}},
    "programs/failures.py failure": {"transient": {programs.UNKNOWN, "io_error"}},
    "programs/failures.py _past_limit": {"deterministic": {type for type, _ in programs.BY_LIMIT.values()}},
}
NOT_A_JOBS = {
    "subtitles_late": "ends the subtitles beside a film, which are an extra: a line in the job's log",
}


class Sites(ast.NodeVisitor):
    """The errors that one file makes, as (kind, word), and where it makes some of which the word can't be told."""

    def __init__(self, file: str, tree: ast.Module, kinds: Mapping[str, str]) -> None:
        self.file, self.kinds, self.function = file, kinds, ""
        self.found: list[tuple[str, str]] = []
        self.computed: set[str] = set()
        self.unknown: list[str] = []
        self.tree = tree
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self.function = self.function, node.name
        self.generic_visit(node)
        self.function = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  the visitor's own names

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = name_of(node)
        if name == "JobError" and len(node.args) == 3 and isinstance(node.args[0], ast.Constant):
            self.take(str(node.args[0].value), node.args[1])
        elif name in OF_CHILDREN:
            self.take("deterministic", node.args[0])
        elif name in self.kinds and name != "HandlerBroke":
            words = [keyword.value for keyword in node.keywords if keyword.arg == "type"]
            self.take(self.kinds[name], words[0] if words else ast.Constant(self.kinds[name]))

    def visit_Dict(self, node: ast.Dict) -> None:
        self.generic_visit(node)
        for key, value in zip(node.keys, node.values, strict=True):
            if self.file.endswith("_child.py") and isinstance(key, ast.Constant) and key.value == "error":
                self.take("deterministic", value)

    def take(self, kind: str, value: ast.expr) -> None:
        place = f"{'/'.join(Path(self.file).parts[-2:])} {self.function}"
        if isinstance(value, ast.Constant):
            self.found.append((kind, str(value.value)))
        elif place in COMPUTED:
            self.computed.add(place)
            self.found += [(kind, word) for word in COMPUTED[place].get(kind, ())]
        elif words := list(self.given(ast.unparse(value))):
            self.found += [(kind, word) for word in words]
        elif ast.unparse(value) not in TOLD | HANDED_ON:
            self.unknown.append(f"{self.file} {self.function}: {ast.unparse(value)}")

    def given(self, name: str) -> Iterator[str]:
        """The words that this name can have: what is assigned to it, and what its function is called with."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and self.function == name_of(node):
                yield from words_in(*node.args)
            elif isinstance(node, ast.Assign) and name in {one.id for one in names_in(*node.targets)}:
                yield from words_in(*ast.walk(node.value))


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else "(an attribute)"


def names_in(*nodes: ast.AST) -> Iterator[ast.Name]:
    return (one for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name))


def words_in(*nodes: ast.AST) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
            yield node.value


@cache
def trees() -> Mapping[str, ast.Module]:
    files = [file for file in CODE.rglob("*.py") if "testing" not in file.parts]
    return {file.relative_to(CODE).as_posix(): ast.parse(file.read_text()) for file in files}


def named_kinds() -> Mapping[str, str]:
    """The exceptions by which a handler fails, with their subclasses."""
    kinds = dict(KINDS)
    classes = [node for tree in trees().values() for node in tree.body if isinstance(node, ast.ClassDef)]
    for _ in range(2):
        for node in classes:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in kinds]
            if bases:
                kinds[node.name] = kinds[bases[0]]
    return kinds


@cache
def sites() -> Sequence[Sites]:
    kinds = named_kinds()
    return [Sites(file, tree, kinds) for file, tree in trees().items()]


def coded() -> Mapping[str, set[str]]:
    """The kinds of each word that the code can give a job's error."""
    found = defaultdict[str, set[str]](
        set, {kind: {kind} for kind in KINDS.values()}
    )  # what they are called by default
    for kind, word in (one for site in sites() for one in site.found):
        found[word].add(kind)
    return {word: kinds for word, kinds in found.items() if word not in NOT_A_JOBS}


def listed() -> list[tuple[str, set[str]]]:
    """The rows of the page."""
    return [(row[0], set(row[1].split(", "))) for row in ROWS.findall(PAGE.read_text())]


def test_each_error_of_the_code_stands_once_in_the_page_with_its_kinds() -> None:
    rows = listed()
    assert dict(rows) == coded()
    assert len(rows) == len(dict(rows))


def test_every_row_says_what_happened_why_it_is_so_and_what_to_do() -> None:
    assert [row[0] for row in ROWS.findall(PAGE.read_text()) if not all(cell.strip() for cell in row[2:])] == []


def test_each_word_that_is_computed_is_listed_here() -> None:
    assert [told for site in sites() for told in site.unknown] == []


def test_no_place_is_listed_that_computes_none() -> None:
    assert {*COMPUTED} - {place for site in sites() for place in site.computed} == set()


@pytest.mark.parametrize(
    "breach",
    [
        'Transient("why", type="new_word")',
        'Deterministic("why", type="disk_full")',
        'Failed(JobError("timeout", "new_word", ""))',
    ],
)
def test_a_planted_error_is_found(breach: str) -> None:
    (found,) = Sites("handlers/new.py", ast.parse(f"raise {breach}"), KINDS).found
    assert found[0] not in coded().get(found[1], set())


def test_a_planted_computed_error_is_found() -> None:
    assert Sites("handlers/new.py", ast.parse("raise Transient(why, type=word)"), KINDS).unknown
