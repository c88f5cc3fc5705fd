"""Finding job types: ours, other people's, broken ones and rivals, and what the settings change of them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel

from secondunit.daemon.config.job_types import discover
from secondunit.daemon.config.loader import BadConfig, load
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.sources import JobTypeSource, installed, load_ahead
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.validation import validated

TOOLS = cast(Tools, object())


class Payload(BaseModel):
    n: int = 0


async def _run(ctx: JobContext, payload: Payload) -> int:
    return payload.n


def defines(type: str, **spec: Any) -> JobTypeSource:
    return JobTypeSource(
        f"module.{type}", lambda: lambda tools: HandlerSpec(type=type, payload=Payload, run=_run, **spec)
    )


def failing(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def settings(**environ: str) -> Settings:
    return load(environ).settings


def test_a_source_that_does_not_import_is_told_and_the_others_serve() -> None:
    sources = [JobTypeSource("broken", failing(ImportError("no such module"))), defines("good")]
    found = discover(TOOLS, settings(), sources)
    assert [spec.type for spec in found.specs] == ["good"]
    assert [(broken.source, broken.why) for broken in found.broken] == [("broken", "ImportError: no such module")]


class Mute(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException(), Mute()])
def test_a_source_that_would_end_the_process_is_broken_and_the_others_serve(error: BaseException) -> None:
    sources = [
        JobTypeSource("loads", failing(error)),
        JobTypeSource("builds", lambda: lambda tools: failing(error)()),
        defines("t"),
    ]
    found = discover(TOOLS, settings(), sources)
    assert [spec.type for spec in found.specs] == ["t"]
    assert [broken.source for broken in found.broken] == ["loads", "builds"]
    assert all(type(error).__name__ in broken.why for broken in found.broken)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("concurrency", value) for value in (0, -1, 1.5, "2", True, None)),
        *(("timeout", value) for value in (60, timedelta(0), timedelta(seconds=-1), None)),
        *(("stall", value) for value in (60, timedelta(0), None)),
        *(("priority", value) for value in (5, -1, "high", None)),
        *(("retry", value) for value in (3, None, RetryPolicy(-1), RetryPolicy(1, "never"), RetryPolicy(10**9))),  # type: ignore[arg-type]
        ("retry", RetryPolicy(initial_delay=timedelta(seconds=-1))),
        *(("type", value) for value in (5, "", "a b", "../x", "x" * 101, None)),
        *(("payload", value) for value in (dict, Payload(), None)),
        *(("run", value) for value in ("run", None)),
        *(("check", value) for value in ("check", 5)),
        *((field, value) for field in ("secrets", "programs", "measures") for value in ("headers", 5, None, [5])),
    ],
)
def test_a_spec_whose_values_are_not_of_their_kind_is_broken_and_says_which(field: str, value: Any) -> None:
    values = {"type": "t", "payload": Payload, "run": _run, field: value}
    odd = JobTypeSource("odd", lambda: lambda tools: HandlerSpec(**values))
    found = discover(TOOLS, settings(), [odd, defines("good")])
    assert [spec.type for spec in found.specs] == ["good"]
    [broken] = found.broken
    assert broken.source == "odd" and broken.why.startswith(f"in its HandlerSpec, {field} must")


def test_a_source_that_builds_nothing_is_broken_too() -> None:
    found = discover(TOOLS, settings(), [JobTypeSource("empty", lambda: lambda tools: None)])
    assert ([broken.source for broken in found.broken], found.specs) == (["empty"], [])


def test_two_sources_for_one_type_are_a_fault_that_names_both() -> None:
    rival = JobTypeSource("rival", defines("hls").load)
    with pytest.raises(BadConfig) as caught:
        discover(TOOLS, settings(), [defines("hls"), rival])
    [fault] = caught.value.faults
    assert "module.hls" in fault and "rival" in fault


def test_settings_change_what_a_type_says_of_itself() -> None:
    wanted = settings(CONCURRENCY_MY_TYPE="7", TIMEOUT_MY_TYPE="60", STALL_SECONDS="9")
    [spec] = discover(TOOLS, wanted, [defines("my-type")]).specs
    assert (spec.concurrency, spec.timeout, spec.stall) == (7, timedelta(seconds=60), timedelta(seconds=9))


def test_without_settings_a_type_stays_as_it_is() -> None:
    own = {"concurrency": 4, "timeout": timedelta(days=1), "stall": timedelta(1), "retry": RetryPolicy(9)}
    [spec] = discover(TOOLS, settings(), [defines("own", **own)]).specs
    assert (spec.concurrency, spec.timeout, spec.stall, spec.retry) == tuple(own.values())


def test_a_box_may_serve_some_types_only_and_knows_the_others() -> None:
    found = discover(TOOLS, settings(TYPES="b"), [defines("a"), defines("b")])
    assert [spec.type for spec in found.specs] == ["b"]
    assert found.known.keys() == {"a", "b"}


def test_a_name_that_is_no_type_is_refused_in_types() -> None:
    with pytest.raises(BadConfig) as caught:
        discover(TOOLS, settings(TYPES="b,nosuch"), [defines("a"), defines("b")])
    assert list(caught.value.faults) == ["TYPES: 'nosuch' is no job type; allowed: a, b"]


def test_a_type_that_can_not_be_loaded_just_now_may_stand_in_types() -> None:
    broken = JobTypeSource("broken", failing(ImportError("no such module")))
    assert [spec.type for spec in discover(TOOLS, settings(TYPES="b,mine"), [broken, defines("b")]).specs] == ["b"]


def test_a_paid_type_is_refused_without_a_key_whatever_it_checks_itself() -> None:
    checked: list[Any] = []
    tools = cast(Tools, SimpleNamespace(gemini=None))
    found = discover(tools, settings(), [defines("dear", paid=True, check=checked.append), defines("free")])
    dear, free = found.specs
    with pytest.raises(TypeUnavailable, match="set GEMINI_API_KEY"):
        validated(dear, {"n": 1})
    validated(free, {"n": 1})
    assert not checked
    tools = cast(Tools, SimpleNamespace(gemini="a way to Gemini"))
    [dear] = discover(tools, settings(), [defines("dear", paid=True, check=checked.append)]).specs
    assert validated(dear, {"n": 1}) == Payload(n=1) and checked == [Payload(n=1)]


def test_a_type_whose_answers_fail_takes_nothing_down() -> None:
    def fails(_: Any) -> Any:
        raise KeyError("no such field")

    [spec] = discover(TOOLS, settings(), [defines("own", artifacts=fails)]).specs
    assert spec.artifacts({}) == {}


def test_one_that_is_broken_keeps_no_other_from_being_loaded_ahead_and_is_told_when_it_is_built() -> None:
    def broken() -> Any:
        raise SyntaxError("no such word")

    loaded: list[str] = []
    sources = [JobTypeSource("broken", broken), JobTypeSource("whole", lambda: loaded.append("whole"))]
    asyncio.run(load_ahead(sources))
    assert loaded == ["whole"]
    assert "no such word" in discover(TOOLS, settings(), sources[:1]).broken[0].why


def test_every_module_among_the_handlers_is_a_source() -> None:
    names = [source.name for source in installed()]
    assert {
        "secondunit.handlers.hls.handler",
        "secondunit.handlers.thumbnail.handler",
        "secondunit.handlers.webp.handler",
    } <= set(names)
    assert not any("tools" in name for name in names)
