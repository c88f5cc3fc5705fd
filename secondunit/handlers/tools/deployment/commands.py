"""Build command runner: an operator's own command for a release, in a clean environment, no secret in its log."""

import os
import shlex
import shutil
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.deployment.accounts import Account, home_of
from secondunit.handlers.tools.deployment.masking import masked
from secondunit.handlers.tools.deployment.projects import Project
from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Finished, Profile, Programs
from secondunit.handlers.tools.programs.runner import ENDING
from secondunit.handlers.tools.programs.transcript import LOG_FULL, LOG_SIZE
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

LAST_LINES, LONGEST = 20, 1800
HOME = ".home"


async def run_command(
    programs: Programs,
    ctx: JobContext,
    project: Project,
    what: str,
    argv: Sequence[str],
    folder: Path,
    limit: timedelta,
    *,
    account: Account | None = None,
) -> None:
    """Run it in `folder` to its success; else Deterministic("build_failed" | "health_failed") with its last lines."""
    raw, secrets = ctx.workspace.run / f"{what}.log", project.secrets()
    home = await in_thread(_home, ctx.workspace.run / f"{what}-home", folder.parent / HOME, account)
    profile = Profile("build", account=account.numbers if account else None)
    environment = {**project.variables(), "HOME": str(home), "TMPDIR": str(home)}
    try:
        with ctx.quiet(limit + ENDING, f"the {what} command runs"):  # its own limit ends it, and nothing else
            finished = await programs.run(
                argv, cwd=folder, log=raw, env=environment, profile=profile, beat=ctx.beat, timeout=limit
            )
    except TimeoutError:
        if what == "health":
            raise Deterministic(f"the health command took longer than {limit}", type="health_failed") from None
        raise
    finally:
        await in_thread(_append, raw, ctx.workspace.log, secrets)
        await in_thread(shutil.rmtree, home, ignore_errors=True)
    if finished.returncode < 0:
        raise failure(masked(argv[0], secrets), finished, ctx.attempt)
    if finished.returncode != 0:
        name = shlex.join(masked(word, secrets) for word in argv)  # quoted, a secret may look otherwise
        words = _last_lines(finished, secrets)
        raise Deterministic(
            f"the {what} command {name} ended with {finished.returncode}: {words}", type=f"{what}_failed"
        )


def _home(own: Path, beside: Path, account: Account | None) -> Path:
    """A folder for what the command keeps meanwhile; another account can't come into the run's."""
    if account:
        return home_of(beside, account)
    own.mkdir(exist_ok=True)
    return own


def _last_lines(finished: Finished, secrets: Collection[str]) -> str:
    lines = masked(finished.stderr, secrets).rstrip().splitlines()[-LAST_LINES:]
    return "\n".join(lines)[-LONGEST:] or "it said nothing"


def _append(raw: Path, log: Path, secrets: Collection[str]) -> None:
    """Move what a command said into the job's log, which others may read, without the secrets."""
    try:
        said = masked(raw.read_text("utf-8", errors="replace"), secrets).encode(errors="replace")
    except FileNotFoundError:
        return
    raw.unlink()
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab") as file:
        room = LOG_SIZE - os.fstat(fd).st_size
        file.write(said if room > len(said) else said[: max(room, 0)] + LOG_FULL)
