"""A deploy from the repository to what is served, and every way back."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.outcome import Deterministic, Postponed
from secondunit.testing.processes import gone, until

pytestmark = pytest.mark.slow  # each starts programs


async def test_the_commit_of_the_branch_is_built_and_served(site: Any) -> None:
    site.entry["build_command"] = ["sh", "-c", "tr a-z A-Z < index.html > built.html"]
    ctx = await site.context()
    result = await site.deploy(ctx)
    commit = site.repository.git("rev-parse", "main")
    assert result == {
        "projectId": "site",
        "commit": commit,
        "release": str(site.home / "releases" / f"20300101T000000Z-{commit[:12]}"),
        "log": "job.log",
        "rolledBack": False,
    }
    assert site.serves("built.html") == "ONE"
    assert str(site.current.readlink()) == f"releases/{Path(result['release']).name}"
    assert ctx.fraction == 1


@pytest.mark.parametrize(("seconds", "hours"), [(900, 1), (7200, 2), (86_400, 24)])
async def test_an_attempt_may_take_as_long_as_its_build(site: Any, seconds: int, hours: int) -> None:
    site.entry["timeout_seconds"] = seconds
    assert timedelta(hours=hours) <= site.spec().timeout < timedelta(hours=hours + 1)


async def test_what_the_disk_does_for_a_release_and_a_fetch_may_take_their_time(site: Any) -> None:
    ctx = await site.context()
    await site.deploy(ctx)
    assert {"git fetches", "the release is brought to the disk", "old releases are removed"} <= ctx.quiets.keys()
    assert min(ctx.quiets.values()) >= timedelta(minutes=30)


async def test_an_update_serves_the_new_commit_and_fetches_only_what_is_new(site: Any) -> None:
    await site.deploy()
    commit = site.repository.commit({"index.html": "two"})
    assert (await site.deploy())["commit"] == commit
    assert site.serves() == "two" and len(site.releases) == 2


async def test_a_branch_that_was_rewritten_is_served_as_it_is_now(site: Any) -> None:
    site.repository.commit({"index.html": "wrong"})
    ctx = await site.context()
    await site.deploy(ctx)
    commit = site.repository.commit({"index.html": "right"}, amend=True)
    assert (await site.deploy(await ctx.rerun()))["commit"] == commit
    assert site.serves() == "right"


async def test_a_branch_may_be_replaced_by_one_below_its_name(site: Any) -> None:
    site.entry["branches"] = ["main", "feature", "feature/*"]
    site.repository.git("branch", "feature")
    await site.deploy(branch="feature")
    site.repository.git("branch", "-D", "feature")
    site.repository.git("branch", "feature/x")
    assert (await site.deploy(branch="feature/x"))["commit"] == site.repository.git("rev-parse", "main")


async def test_an_older_commit_can_be_asked_for_where_the_project_allows_it(site: Any) -> None:
    site.entry["branches"] = ["main", "*"]
    first = site.repository.git("rev-parse", "main")
    site.repository.commit({"index.html": "two"})
    site.repository.git("config", "uploadpack.allowReachableSHA1InWant", "true")
    assert (await site.deploy(branch=first))["commit"] == first
    assert site.serves() == "one"


async def test_a_broken_build_leaves_what_is_served_and_says_its_last_lines(site: Any) -> None:
    await site.deploy()
    site.entry["build_command"] = ["sh", "-c", "echo begun; echo it is broken >&2; exit 3"]
    site.repository.commit({"index.html": "two"})
    ctx = await site.context()
    with pytest.raises(Deterministic, match=r"(?s)ended with 3: .*begun.*it is broken") as error:
        await site.deploy(ctx)
    assert error.value.type == "build_failed"
    assert site.serves() == "one" and len(site.releases) == 1
    assert "it is broken" in ctx.workspace.log.read_text()


async def test_a_release_that_is_not_healthy_gives_way_to_the_former(site: Any) -> None:
    site.entry["health_command"] = ["grep", "-q", "one", "index.html"]
    first = await site.deploy()
    site.repository.commit({"index.html": "two"})
    ctx = await site.context()
    with pytest.raises(Deterministic) as error:
        await site.deploy(ctx)
    assert error.value.type == "health_failed"
    assert site.serves() == "one"
    assert ctx.figures["rolledBack"] is True and ctx.figures["release"] == first["release"]


async def test_a_first_release_that_is_not_healthy_is_not_served(site: Any) -> None:
    site.entry["health_command"] = ["false"]
    with pytest.raises(Deterministic) as error:
        await site.deploy()
    assert error.value.type == "health_failed"
    assert not site.current.is_symlink() and not site.current.exists()


async def test_a_health_command_that_hangs_is_a_failed_one(site: Any) -> None:
    site.entry |= {"health_command": ["sleep", "60"], "health_timeout_seconds": 1}
    with pytest.raises(Deterministic, match="longer than") as error:
        await site.deploy()
    assert error.value.type == "health_failed"


async def test_a_deploy_that_is_stopped_while_its_health_is_asked_goes_back(site: Any) -> None:
    await site.deploy()
    site.entry["health_command"] = ["sh", "-c", "touch asked; sleep 60"]
    site.repository.commit({"index.html": "two"})
    task = asyncio.create_task(site.deploy())
    await until((site.current / "asked").exists)
    assert site.serves() == "two"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.serves() == "one"


async def test_a_build_that_is_stopped_is_gone_with_all_it_made(site: Any) -> None:
    site.entry["build_command"] = ["sh", "-c", "touch begun; sleep 60"]
    task = asyncio.create_task(site.deploy())
    releases = site.home / "releases"
    await until(lambda: list(releases.glob("*/begun")))
    [unfinished] = releases.iterdir()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(unfinished)
    assert site.releases == [] and not site.current.exists()


async def test_a_build_that_takes_too_long_is_ended(site: Any) -> None:
    site.entry |= {"build_command": ["sleep", "60"], "timeout_seconds": 1}
    with pytest.raises(TimeoutError):
        await site.deploy()
    assert site.releases == []


async def test_after_a_crash_the_same_commit_is_not_built_again(site: Any) -> None:
    site.entry["build_command"] = ["sh", "-c", "date +%N > built"]
    ctx = await site.context()
    first = await site.deploy(ctx)
    stamp = site.serves("built")
    again = await ctx.rerun()
    assert await site.deploy(again) == first
    assert site.serves("built") == stamp and again.ran == []


async def test_what_a_killed_daemon_left_unfinished_is_removed_and_built_anew(site: Any) -> None:
    await site.deploy()
    left = site.home / "releases" / "20290101T000000Z-0123456789ab.tmp"
    left.mkdir()
    lock = site.folder / "repositories" / "site.git" / "packed-refs.lock"
    lock.touch()
    site.repository.commit({"index.html": "two"})
    await site.deploy()
    assert not left.exists() and not lock.exists() and site.serves() == "two"


async def test_only_so_many_releases_are_kept_and_always_the_one_that_is_served(site: Any) -> None:
    site.entry["keep"] = 2
    for n in range(4):
        site.repository.commit({"index.html": str(n)})
        site.clock.set_wall(site.clock.now() + timedelta(seconds=1))
        result = await site.deploy()
        assert Path(result["release"]).name in site.releases
    assert len(site.releases) == 2


async def test_a_release_can_be_read_by_everybody_whatever_the_umask(site: Any) -> None:
    site.entry["build_command"] = ["sh", "-c", "mkdir -m 700 out; umask 077; touch out/page run; chmod 700 run"]
    result = Path((await site.deploy())["release"])
    modes = {name: (result / name).stat().st_mode & 0o777 for name in ("", "index.html", "out", "out/page", "run")}
    assert modes == {"": 0o755, "index.html": 0o644, "out": 0o755, "out/page": 0o644, "run": 0o755}


async def test_a_build_sees_the_named_environment_and_nothing_else(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "not for builds")
    site.entry |= {"build_command": "env", "environment": {"NODE_ENV": "production"}}
    ctx = await site.context()
    await site.deploy(ctx)
    printed = (line for line in ctx.workspace.log.read_text().splitlines() if not line.startswith("$"))
    variables = dict(line.split("=", 1) for line in printed)
    assert set(variables) - {"PWD", "SHLVL", "_"} == {"PATH", "HOME", "TMPDIR", "LANG", "NODE_ENV"}
    assert Path(variables["HOME"]).is_relative_to(ctx.workspace.run)


async def test_secrets_are_in_neither_the_log_nor_the_error(site: Any) -> None:
    site.entry |= {
        "build_command": ["sh", "-c", 'echo "token $NPM_TOKEN, to $DB"; echo "$NPM_TOKEN" >&2; exit 1'],
        "environment": {"NPM_TOKEN": "sesame-opens", "DB": "postgres://app:hunter2@db/app"},
    }
    ctx = await site.context()
    with pytest.raises(Deterministic) as error:
        await site.deploy(ctx)
    for text in (str(error.value), ctx.workspace.log.read_text()):
        assert "token ***, to ***" in text and "sesame" not in text and "hunter2" not in text
    assert [path.name for path in ctx.workspace.run.rglob("*.log")] == []


async def test_a_shell_runs_only_what_the_operator_wrote_for_one(site: Any) -> None:
    site.entry |= {"build_command": "echo $((6 * 7)) > answer && true", "shell": True}
    await site.deploy(buildCommand="echo $((6 * 7)) > answer && true")
    assert site.serves("answer") == "42\n"


def test_two_deploys_of_one_project_never_run_together(site: Any) -> None:
    site.spec()
    held: list[str] = []
    with site.made.turn("site"), pytest.raises(Postponed), site.made.turn("site"):
        held.append("site twice")
    with site.made.turn("site"), site.made.turn("other"):
        held.append("another beside it")
    assert held == ["another beside it"]


async def test_a_deploy_gives_way_to_one_that_was_submitted_later(site: Any) -> None:
    site.others.job_id = "job_later"
    with pytest.raises(Deterministic, match="a deploy of site that was submitted later") as error:
        await site.deploy()
    assert error.value.type == "superseded" and not site.home.exists()


async def test_a_branch_that_is_not_there_is_told_by_its_name(site: Any) -> None:
    site.entry["branches"] = ["gone"]
    with pytest.raises(Deterministic, match="no branch or commit gone") as error:
        await site.deploy()
    assert error.value.type == "ref_missing"


async def test_a_repository_that_is_not_there_is_told(site: Any) -> None:
    site.entry["repo_url"] = f"file://{site.folder}/nowhere"
    with pytest.raises(Deterministic, match="nowhere can't be fetched from") as error:
        await site.deploy()
    assert error.value.type == "repository_refused" and not site.home.exists()


async def test_a_folder_in_the_place_of_current_is_not_touched(site: Any) -> None:
    site.current.mkdir(parents=True)
    with pytest.raises(Deterministic) as error:
        await site.deploy()
    assert error.value.type == "output_not_ours" and site.current.is_dir()
