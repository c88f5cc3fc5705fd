"""An operator's own command: its clean environment, its log without secrets, and what its end means."""

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.deployment.commands import LAST_LINES, LONGEST, run_command
from secondunit.handlers.tools.deployment.masking import masked
from secondunit.handlers.tools.deployment.projects import Project
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.handlers.tools.programs.transcript import LOG_FULL, LOG_SIZE
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.handler_kit import FakeContext

LIMIT = timedelta(minutes=1)
PROJECT = Project.model_validate(
    {
        "repo_url": "https://git.test/site.git",
        "directory": "/srv/site",
        "authorization": "Bearer sesame-opens",
        "environment": {
            "NPM_TOKEN": "t0ken",
            "MODE": "production",
            "DATABASE": "postgres://u:pw@db/x",
            "A_KEY": "it's",
        },
        "path": "/opt/bin",
    }
)


class Program:
    """Ends as a test says, after it said what a test says."""

    def __init__(self, returncode: int = 0, said: bytes = b"", error: Exception | None = None) -> None:
        self.returncode = returncode
        self.said = said
        self.error = error
        self.at_home: list[str] | None = None
        self.timeout: timedelta | None = None
        self.environment: Mapping[str, str] = {}
        self.argv: tuple[str, ...] = ()
        self.kind = ""

    async def run(
        self, argv: Any, *, cwd: Path, log: Path, env: Mapping[str, str], profile: Any, beat: Any, timeout: timedelta
    ) -> Finished:
        self.argv, self.environment, self.kind = tuple(argv), env, profile.kind
        beat()
        self.at_home = await asyncio.to_thread(os.listdir, env["HOME"])
        self.timeout = timeout
        if self.said:
            await asyncio.to_thread(log.write_bytes, self.said)
        if self.error:
            raise self.error
        return Finished(self.returncode, self.said.decode(errors="replace"))


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path)


async def run(ctx: FakeContext, program: Any, what: str = "build", argv: tuple[str, ...] = ("npm", "run", "x")) -> None:
    await run_command(program, ctx, PROJECT, what, argv, ctx.workspace.run, LIMIT)


async def fails(ctx: FakeContext, program: Any, **more: Any) -> Any:
    with pytest.raises((Deterministic, Transient)) as failed:
        await run(ctx, program, **more)
    return failed.value


async def test_it_sees_what_the_operator_names_and_a_home_of_its_own(ctx: FakeContext) -> None:
    program = Program()
    await run(ctx, program)
    home = str(ctx.workspace.run / "build-home")
    assert program.environment == {
        "PATH": "/opt/bin",
        "LANG": "C.UTF-8",
        "NPM_TOKEN": "t0ken",
        "MODE": "production",
        "DATABASE": "postgres://u:pw@db/x",
        "A_KEY": "it's",
        "HOME": home,
        "TMPDIR": home,
    }
    assert (program.argv, program.at_home, program.timeout) == (("npm", "run", "x"), [], LIMIT)


async def test_a_command_has_its_own_limit_and_beats(ctx: FakeContext) -> None:
    """The program is ended by its time, a little later its run would be: never the other way round."""
    await run(ctx, Program())
    assert ctx.quiets["the build command runs"] > LIMIT and ctx.beats == 1


async def test_what_it_said_goes_to_the_jobs_log_without_secrets_and_its_own_file_is_gone(ctx: FakeContext) -> None:
    ctx.workspace.log.write_bytes(b"before\n")
    await run(ctx, Program(said=b"token t0ken for production at postgres://u:pw@db/x\xff\n"))
    assert ctx.workspace.log.read_text() == "before\ntoken *** for production at ***\ufffd\n"
    assert not (ctx.workspace.run / "build.log").exists()


async def test_a_silent_command_leaves_the_log_alone(ctx: FakeContext) -> None:
    await run(ctx, Program())
    assert not ctx.workspace.log.exists()


@pytest.mark.parametrize("room", [0, 10, 1000])
async def test_the_jobs_log_never_grows_beyond_its_size(ctx: FakeContext, room: int) -> None:
    with ctx.workspace.log.open("wb") as log:
        log.truncate(LOG_SIZE - room)
    await run(ctx, Program(said=b"x" * 1000))
    size = ctx.workspace.log.stat().st_size
    assert size == LOG_SIZE + len(LOG_FULL), "filled up, and marked as full"


@pytest.mark.parametrize(("what", "type"), [("build", "build_failed"), ("health", "health_failed")])
async def test_a_failure_is_told_with_the_command_and_its_last_words_without_secrets(
    ctx: FakeContext, what: str, type: str
) -> None:
    said = b"".join(b"line %d\n" % n for n in range(100)) + b"bad t0ken\n"
    failed = await fails(ctx, Program(2, said), what=what, argv=("deploy", "--token", "t0ken", "for it's sake"))
    assert isinstance(failed, Deterministic) and failed.type == type
    words = str(failed)
    assert words.startswith(f"the {what} command deploy --token '***' 'for *** sake' ended with 2: ")
    assert words.endswith("bad ***") and len(words.splitlines()) == LAST_LINES and "t0ken" not in words


async def test_long_last_words_are_cut_and_none_are_told_as_none(ctx: FakeContext) -> None:
    assert len(str(await fails(ctx, Program(1, b"x" * 100_000)))) < LONGEST + 100
    assert str(await fails(ctx, Program(1, b" \n"))).endswith("it said nothing")


async def test_a_command_that_was_killed_may_be_tried_again(ctx: FakeContext) -> None:
    failed = await fails(ctx, Program(-9, b"x"))
    assert isinstance(failed, Transient) and "npm was ended by SIGKILL" in str(failed)


async def test_a_health_command_that_takes_too_long_has_failed_and_a_build_is_the_jobs_time_limit(
    ctx: FakeContext,
) -> None:
    failed = await fails(ctx, Program(said=b"still t0ken", error=TimeoutError()), what="health")
    assert (failed.type, "longer than 0:01:00" in str(failed)) == ("health_failed", True)
    assert ctx.workspace.log.read_text() == "still ***", "what it said until then is there"
    with pytest.raises(TimeoutError):
        await run(ctx, Program(error=TimeoutError()))


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("a secret b secret", ["secret"], "a *** b ***"),
        ("key-long and key", ["key-", "key-long"], "*** and key"),
        ("begin\n-----KEY-----\nabcdef\n", ["-----KEY-----\n  abcdef\n"], "begin\n***\n***\n"),
        ("an abc stays", ["abc"], "an abc stays"),
        ("four", ["four"], "***"),
        ("nothing", ["", "\n\n", "   "], "nothing"),
        ("a.c axc", ["a.c."], "a.c axc"),
        ("", ["secret"], ""),
    ],
)
def test_secrets_are_taken_out_line_by_line_the_longest_first(text: str, secrets: list[str], shown: str) -> None:
    assert masked(text, secrets) == shown
