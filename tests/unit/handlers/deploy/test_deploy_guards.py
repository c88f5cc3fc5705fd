"""What a payload, a repository or the network may try on a deploy."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from secondunit.handlers.tools.deployment.projects import Project, branch_fault
from secondunit.queue.errors import BadPayload, TypeUnavailable
from secondunit.queue.outcome import Deterministic
from secondunit.queue.validation import validated

pytestmark = pytest.mark.slow  # each starts programs

ENTRY = {"repo_url": "https://git.test/site.git", "directory": "/srv/site"}


def refused(site: Any, **payload: Any) -> set[str]:
    """The fields that are refused."""
    with pytest.raises(BadPayload) as error:
        site.check(**payload)
    return {fault.field for fault in error.value.errors}


def test_without_projects_the_type_says_how_to_list_them(site: Any) -> None:
    with pytest.raises(TypeUnavailable, match=r"\[deploy\.ID\]"):
        validated(site.spec(listed=False), {"projectId": "site"})


def test_a_project_that_is_not_listed_is_refused(site: Any) -> None:
    assert refused(site, projectId="other") == {"payload.projectId"}
    assert refused(site, projectId="../site") == {"payload.projectId"}


def test_a_payload_that_says_what_the_table_says_is_taken(site: Any) -> None:
    site.entry |= {"branches": ["main", "release/*"], "build_command": ["npm", "run", "build"]}
    url, home = site.entry["repo_url"], site.entry["directory"]
    said = {"repoUrl": url, "branch": "release/2", "directory": f"{home}/", "buildCommand": "npm run build"}
    site.check(**said)
    for field, value in said.items():
        other = said | {field: "releases/2" if field == "branch" else f"{value}x"}
        assert refused(site, **other) == {f"payload.{field}"}, "each of the four is looked at"
    assert refused(site, **{field: f"{value}/x" for field, value in said.items() if field != "branch"}) == {
        "payload.repoUrl", "payload.directory", "payload.buildCommand",
    }  # fmt: skip


@pytest.mark.parametrize("written", [["npm", "run", "build"], "npm run build"])
async def test_what_a_payload_may_say_is_what_is_built(site: Any, written: Any) -> None:
    site.repository.git("checkout", "--quiet", "-b", "release/2")
    commit = site.repository.commit({"index.html": "two"})
    build = ["sh", "-c", "cp index.html built"] if isinstance(written, list) else "cp index.html built"
    site.entry |= {"branches": ["main", "release/*"], "build_command": build}
    said = "sh -c 'cp index.html built'" if isinstance(written, list) else "cp index.html built"
    result = await site.deploy(branch="release/2", directory=f"{site.home}/", buildCommand=said)
    assert result["commit"] == commit and site.serves("built") == "two"


def test_the_body_of_the_work_platform_is_taken_as_it_is(site: Any) -> None:
    site.entry = {
        "repo_url": "https://github.com/user/repo.git",
        "branch": "master",
        "directory": "/path/to/project",
        "build_command": "npm run build",
        "trusted": True,
    }
    body = {
        "repoUrl": "https://github.com/user/repo.git",
        "branch": "master",
        "directory": "/path/to/project",
        "buildCommand": "npm run build",
    }
    site.check(**body)
    assert refused(site, **dict.fromkeys(body, "main")) == {f"payload.{field}" for field in body}
    [project] = site.made.projects.values()
    assert (project.branches, project.build) == (("master",), ("npm", "run", "build"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repoUrl", "https://git.test/other.git"),
        ("repoUrl", "--upload-pack=touch pwned"),
        ("repoUrl", "ext::sh -c touch% pwned"),
        ("branch", "other"),
        ("branch", "--upload-pack=touch pwned"),
        ("branch", "main; touch pwned"),
        ("branch", "main..other"),
        ("branch", "main@{1}"),
        ("branch", "main.lock"),
        ("branch", "$(touch pwned)"),
        ("branch", "main\n"),
        ("directory", "/srv/other"),
        ("directory", "/srv/site/../other"),
        ("buildCommand", "true; touch pwned"),
        ("buildCommand", "true && touch pwned"),
        ("buildCommand", "true\ntouch pwned"),
        ("buildCommand", ""),
    ],
)
def test_a_field_that_differs_from_its_project_is_refused_by_its_name(site: Any, field: str, value: str) -> None:
    site.entry |= {"branches": ["main"], "build_command": ["true"]}
    assert refused(site, **{field: value}) == {f"payload.{field}"}


@pytest.mark.parametrize("name", ["-x", "a..b", "a@{b", "a.lock", "a/b.lock", "a//b", "a/.b", "/a", "a/", "a.", "a b"])
def test_no_pattern_lets_a_name_through_that_git_would_misread(site: Any, name: str) -> None:
    site.entry["branches"] = ["main", "*"]
    assert branch_fault(name) is not None
    assert refused(site, branch=name) == {"payload.branch"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"repo_url": "ext::sh -c id"}, "https, http, ssh or file"),
        ({"repo_url": "git@git.test:site.git"}, "https, http, ssh or file"),
        ({"repo_url": "git://git.test/site.git"}, "https, http, ssh or file"),
        ({"repo_url": "https://user:word@git.test/site.git"}, "`authorization`"),
        ({"repo_url": "ssh://-oProxyCommand=id/site"}, "no host"),
        ({"repo_url": "file://host/site"}, "file:///PATH"),
        ({"repo_url": "https://git.test/a b"}, "https, http, ssh or file"),
        ({"directory": "srv/site"}, "not an absolute path"),
        ({"directory": "/srv/../etc"}, "not an absolute path"),
        ({"directory": "/"}, "not an absolute path"),
        ({"branches": []}, "at least 1"),
        ({"branches": ["release/*"]}, "the first of branches"),
        ({"branches": ["--upload-pack=x"]}, "the first of branches"),
        ({"build_command": "npm ci && npm run build"}, "`shell = true`"),
        ({"environment": {"A=B": "c"}}, "'A=B' is not the name of a variable"),
        ({"keep": 0}, "greater than or equal to 1"),
        ({"buildcommand": "make"}, "not permitted"),
    ],
)
def test_a_table_that_can_not_be_meant_is_refused_and_told_why(change: dict[str, Any], says: str) -> None:
    assert Project.model_validate(ENTRY).branches == ("main",)
    with pytest.raises(ValidationError) as refused:
        Project.model_validate(ENTRY | change)
    [fault] = refused.value.errors()
    assert says in fault["msg"] and fault["loc"][:1] in ((), tuple(change))
    assert "word@" not in str(refused.value)


def test_a_command_in_words_needs_no_shell() -> None:
    project = Project.model_validate(ENTRY | {"build_command": "npm run 'my build'", "trusted": True})
    assert project.build == ("npm", "run", "my build")


async def test_nothing_in_a_repository_runs_before_the_build(site: Any) -> None:
    canary = site.folder / "canary"
    run = f"touch {canary}"
    site.repository.git("config", "filter.evil.smudge", run)
    site.repository.git("config", "filter.evil.clean", "cat")
    site.repository.git("config", "uploadpack.packObjectsHook", run)
    hooks = site.repository.path / ".git" / "hooks"
    for name in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-merge"):
        (hooks / name).parent.mkdir(exist_ok=True)
        (hooks / name).write_text(f"#!/bin/sh\n{run}\n")
        (hooks / name).chmod(0o755)
    site.repository.git("config", "core.hooksPath", os.devnull)
    site.repository.commit(
        {
            ".gitattributes": "* filter=evil\nversion export-subst\nsecret export-ignore\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = -u{run}\n\tupdate = !{run}\n',
            "version": "$Format:%H$",
            "secret": "kept",
        }
    )
    canary.unlink(missing_ok=True)
    await site.deploy()
    assert not canary.exists()
    assert site.serves("version") == "$Format:%H$" and site.serves("secret") == "kept"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside", "inner/up/../.."])
async def test_a_link_that_leads_out_of_the_repository_is_refused(site: Any, target: str) -> None:
    site.repository.commit({"inner/deep/file": "x"})
    (site.repository.path / "inner" / "up").symlink_to("..")
    (site.repository.path / "link").symlink_to(target)
    site.repository.commit({})
    with pytest.raises(Deterministic, match="leads out of the repository") as error:
        await site.deploy()
    assert error.value.type == "unsafe_tree"
    assert site.releases == []


async def test_a_link_within_the_repository_is_kept(site: Any) -> None:
    (site.repository.path / "link").symlink_to("index.html")
    site.repository.commit({})
    await site.deploy()
    assert site.serves("link") == "one" and (site.current / "link").is_symlink()


async def test_nothing_is_written_through_a_link(site: Any) -> None:
    """A tree with `out` as a link and, on a system that takes both for one name, `out/file` behind it."""
    outside = site.folder / "outside"
    outside.mkdir()
    blob = site.repository.git("hash-object", "-w", "index.html")
    (site.folder / "target").write_text(str(outside))
    link = site.repository.git("hash-object", "-w", str(site.folder / "target"))
    below = _mktree(site, f"100644 blob {blob}\tfile")
    tree = _mktree(site, f"120000 blob {link}\tout\n040000 tree {below}\tout")
    commit = site.repository.git("commit-tree", tree, "-m", "evil")
    site.repository.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(Deterministic) as error:
        await site.deploy()
    assert error.value.type == "unsafe_tree" and list(outside.iterdir()) == []


async def test_an_address_that_is_not_public_is_refused_by_the_proxy(site: Any, git_server: Any, closed: Any) -> None:
    site.entry["repo_url"] = git_server.url
    site.egress = closed
    with pytest.raises(Deterministic, match="may not be reached") as error:
        await site.deploy()
    assert error.value.type == "egress_denied"
    assert git_server.requests == []


async def test_the_operator_may_allow_a_private_repository(site: Any, git_server: Any, closed: Any) -> None:
    site.entry |= {"repo_url": git_server.url, "allow_private": True}
    site.egress = closed
    await site.deploy()
    assert site.serves() == "one"


async def test_a_redirect_to_another_address_is_judged_too(site: Any, git_server: Any) -> None:
    git_server.redirect = f"http://127.0.0.2:{git_server.port}"
    site.entry["repo_url"] = git_server.url
    with pytest.raises(Deterministic, match=r"127\.0\.0\.2") as error:
        await site.deploy()
    assert error.value.type == "egress_denied"


async def test_the_authorization_goes_to_the_repository_and_nowhere_else(site: Any, git_server: Any) -> None:
    site.entry |= {"repo_url": git_server.url, "authorization": "Bearer sesame-opens"}
    ctx = await site.context()
    await site.deploy(ctx)
    assert {request.headers.get("Authorization") for request in git_server.requests} == {"Bearer sesame-opens"}
    assert not any("sesame" in path.read_text(errors="replace") for path in _files(ctx.workspace.run.parent))
    assert not any(b"sesame" in path.read_bytes() for path in _files(site.folder / "repositories"))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _mktree(site: Any, listing: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(site.repository.path), "mktree"],
        input=listing + "\n", check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


async def test_a_commit_of_a_billion_files_is_refused_before_they_are_listed(site: Any) -> None:
    """A tree of ten times the same tree, nine times over."""
    git = site.repository.git
    site.repository.commit({"a": ""})
    entry = "100644 blob " + git("rev-parse", "HEAD:a")
    for _ in range(9):
        lines = "".join(f"{entry}\t{n}\n" for n in range(10))
        entry = "040000 tree " + git("mktree", said=lines)
    git("update-ref", "refs/heads/main", git("commit-tree", entry.split()[-1], "-m", "many"))
    with pytest.raises(Deterministic) as refused:
        await site.deploy()
    assert refused.value.type == "file_too_large" and not site.home.exists()
