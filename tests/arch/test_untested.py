"""Every module is imported by a test: a fault in one that none knows shows far away, in a test of something else."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Where a name ends in ".", everything below it.
THROUGH_OTHERS = {
    "secondunit.__main__": "starts the command line, as tests/unit/cli does",
    "secondunit.cli.": "commands: tests/unit/cli and tests/e2e run them by their names",
    "secondunit.daemon.dashboard.": "tests/http/dashboard opens each page over a socket",
    "secondunit.daemon.app": "the composition root: tests/e2e starts it whole",
    "secondunit.daemon.foreground": "the daemon from its command: tests/e2e starts it whole",
    "secondunit.daemon.wiring.": "puts the daemon together: tests/e2e starts it whole",
    "secondunit.daemon.http.contract.operations_responses": "test_serialize.py has them made, and looks at them",
    "secondunit.daemon.http.contract.access": "tests/http/test_keys.py, over sockets",
    "secondunit.daemon.http.contract.expectations": "tests/http/test_sight_api.py, over sockets",
    "secondunit.daemon.http.contract.sight.": "tests/http/test_sight_api.py, over sockets",
    "secondunit.queue.graph.": "the contract suite through stores, tests/unit/queue/graph through a worker",
    "secondunit.queue.sight.wording": "tests/unit/queue/sight/test_explain.py, through explanations",
    "secondunit.daemon.monitoring.notes": "tests/unit/daemon/monitoring/test_conditions.py, through the health check",
    "secondunit.queue.running.verdicts": "tests/unit/queue/running, through an execution",
    "secondunit.queue.stores.postgres.": "the contract suite and tests/contract/test_postgres_*.py, through the store",
    "secondunit.queue.stores.sqlite.tables.batches": "the contract suite, through the store",
    "secondunit.queue.stores.sqlite.tables.graph": "the contract suite, through the store",
    "secondunit.queue.stores.sqlite.tables.shared.": "the contract suite, through the store",
    "secondunit.queue.stores.memory_boxes": "the contract suite, through the store",
    "secondunit.queue.stores.memory_graph": "the contract suite, through the store",
    "secondunit.queue.stores.memory_line": "the contract suite, through the store",
    "secondunit.queue.stores.memory_sight": "the contract suite, through the store",
    "secondunit.queue.stores.series_table": "the contract suite and test_sqlite_series.py, through the stores",
    "secondunit.daemon.http.transport.admission": "tests/http/test_doors.py and test_keys.py, over sockets",
    "secondunit.daemon.http.transport.audit": "tests/http/test_audit.py, over sockets",
    "secondunit.daemon.http.transport.auth": "tests/http/test_doors.py, over sockets",
    "secondunit.daemon.http.transport.bodies.json_batches": "tests/http/test_large_batches.py, over sockets",
    "secondunit.daemon.http.transport.request_heads": "tests/http sends odd heads over sockets",
    "secondunit.daemon.http.traces": "tests/http/test_traces.py, over sockets",
    "secondunit.daemon.process.dead_man_switch": "test_dead_man_switch.py runs it in a process of its own",
    "secondunit.daemon.http.endpoints.": "tests/http calls each over a socket",
    "secondunit.handlers.tools.deployment.archive": "starts a program: tests/unit/handlers/deploy deploys by it",
    "secondunit.handlers.tools.fetching.ytdlp.": "within yt-dlp's program, which tests/unit runs against a local site",
    "secondunit.handlers.tools.media.colours": "test_filters_argv.py and tests/media/test_colours.py, by its filters",
    "secondunit.handlers.tools.network.proxy_relay": "tests/unit/handlers/tools/network/test_proxy.py, over sockets",
    "secondunit.handlers.tools.ports": "a port without a line that runs",
    "secondunit.handlers.tools.programs.": "parts of the runner, by which tests/unit/handlers/tools/programs runs",
    "secondunit.handlers.tools.storage.replaced": "test_replaced.py publishes one folder after another by it",
    "secondunit.handlers.tools.storage.s3.": "tests of buckets, against a local S3",
    "secondunit.handlers.webp.animation": "part of converter_child",
    "secondunit.handlers.webp.converter_child": "a program: tests/unit/handlers/webp runs it",
    "secondunit.handlers.webp.mending": "part of converter_child",
    "secondunit.handlers.webp.pixels": "part of converter_child",
    "secondunit.queue.ports.engine": "a port without a line that runs",
    "secondunit.daemon.config.schedules": "test_schedule_tables.py, through the loader",
    "secondunit.queue.stores.sqlite.tables.schedules": "the store contract suite, over the store",
    "secondunit.queue.stores.sqlite.tables.folders": "the store contract suite, over the store",
    "secondunit.testing.": "what tests are made of: a fault in it fails them",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that may be meant; `from a import b` counts as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unknown_to_tests(root: Path, excepted: Mapping[str, str]) -> list[str]:
    """The modules that no file under tests/ imports, but the excepted ones."""
    files = [file for file in (root / "secondunit").rglob("*.py") if file.name != "__init__.py"]
    modules = {".".join(file.relative_to(root).with_suffix("").parts) for file in files}
    tests = [file for file in (root / "tests").rglob("*.py") if "node_modules" not in file.parts]
    known = {name for file in tests for name in imported(ast.parse(file.read_text()))}
    left = sorted(modules - known)
    return [
        name
        for name in left
        if not any(name == one or (f"{one}".endswith(".") and name.startswith(one)) for one in excepted)
    ]


def test_every_module_is_imported_by_a_test() -> None:
    assert unknown_to_tests(ROOT, THROUGH_OTHERS) == [], "give it a test of its own, or say which test runs it"


def test_an_exception_that_nothing_needs_is_dropped() -> None:
    left = unknown_to_tests(ROOT, {})
    needed = {
        one for one in THROUGH_OTHERS for name in left if name == one or (one.endswith(".") and name.startswith(one))
    }
    assert THROUGH_OTHERS.keys() - needed == set()


def test_a_module_without_a_test_is_found(tmp_path: Path) -> None:
    for path, text in {
        "secondunit/__init__.py": "",
        "secondunit/a.py": "",
        "secondunit/b.py": "",
        "secondunit/room/c.py": "",
        "tests/test_a.py": "from secondunit import a",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert unknown_to_tests(tmp_path, {}) == ["secondunit.b", "secondunit.room.c"]
    assert unknown_to_tests(tmp_path, {"secondunit.room.": "x"}) == ["secondunit.b"]
