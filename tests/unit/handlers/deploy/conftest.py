"""Deploys of small repositories made on the spot, with real git; nothing leaves this machine."""

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from secondunit.handlers import deploy
from secondunit.handlers.tools.deployment.accounts import Account
from secondunit.handlers.tools.deployment.deployments import Deployments
from secondunit.handlers.tools.deployment.git import Git
from secondunit.handlers.tools.deployment.projects import Project
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.runner import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext

HERE = AddressRule((ip_network("127.0.0.1/32"),))
PATH = os.pathsep.join([*({str(Path(npm).parent)} if (npm := shutil.which("npm")) else ()), SEARCH_PATH])
IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": SEARCH_PATH} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.com"))
}


@dataclass
class Repository:
    """A repository with a branch `main`."""

    path: Path

    def git(self, *argv: str, said: str | None = None) -> str:
        command = ["git", "-C", str(self.path), *argv]
        done = subprocess.run(command, input=said, check=True, capture_output=True, text=True, env=IDENTITY)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], *, amend: bool = False) -> str:
        """Write these files and commit; the commit's id."""
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change", *(["--amend"] if amend else []))
        return self.git("rev-parse", "HEAD")


@dataclass
class NoOtherDeploys:
    """A queue without other deploys, unless told."""

    job_id: str | None = None

    async def newer(self, job_id: str, field: str) -> str | None:
        return self.job_id


@dataclass
class Site:
    """One project, `site`, and the job type that deploys it."""

    folder: Path
    repository: Repository
    egress: Egress
    programs: ProcessRunner
    clock: ManualClock = field(default_factory=ManualClock)
    others: NoOtherDeploys = field(default_factory=NoOtherDeploys)
    entry: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    made: Deployments | None = None
    runs: int = 0

    def __post_init__(self) -> None:
        self.entry |= {
            "repo_url": f"file://{self.repository.path}",
            "branches": ["main"],
            "directory": str(self.home),
            "path": PATH,
            "trusted": True,
        }

    @property
    def home(self) -> Path:
        return self.folder / "srv" / "site"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.home / "releases").iterdir() if not path.name.startswith("."))

    def spec(self, *, listed: bool = True) -> HandlerSpec:
        projects = {"site": Project.model_validate(self.entry)} if listed else {}
        git = Git(self.programs, self.egress, self.folder / "repositories", 64 << 20)
        self.made = Deployments(projects, git, self.others, self.accounts)
        files = LocalFiles([])
        return deploy.build(
            Tools(self.clock, self.programs, files, MediaMissing("no"), sys.executable, deployments=self.made)
        )

    def check(self, **payload: Any) -> None:
        validated(self.spec(), {"projectId": "site", **payload})

    async def context(self) -> FakeContext:
        self.runs += 1
        return await FakeContext.open(self.folder / "work" / str(self.runs), job_id=f"job_{self.runs}")

    async def deploy(self, ctx: FakeContext | None = None, **payload: Any) -> Any:
        spec = self.spec()
        model = validated(spec, {"projectId": "site", **payload})
        return await spec.run(ctx or await self.context(), model)

    def serves(self, name: str = "index.html") -> str:
        return (self.current / name).read_text()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    path = tmp_path / "upstream"
    path.mkdir()
    repository = Repository(path)
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit({"index.html": "one"})
    return repository


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with Egress(HERE) as egress:
        yield egress


@pytest.fixture
def site(tmp_path: Path, repository: Repository, egress: Egress) -> Site:
    return Site(tmp_path, repository, egress, ProcessRunner(sys.executable, sandbox=available()))


@pytest.fixture
async def closed() -> AsyncIterator[Egress]:
    """The proxy as it is by default: only public addresses."""
    async with Egress(AddressRule(())) as egress:
        yield egress


@dataclass
class GitServer:
    """The repository over smart HTTP; `redirect` sends every first request to another server."""

    root: Path
    port: int = 0
    redirect: str | None = None
    requests: list[web.Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/.git"

    async def answer(self, request: web.Request) -> web.Response:
        """What git's own CGI program says."""
        self.requests.append(request)
        if self.redirect:
            raise web.HTTPFound(self.redirect + request.path_qs)
        environment = {
            "PATH": SEARCH_PATH,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        process = await asyncio.create_subprocess_exec("git", "http-backend", env=environment, stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=body)


@pytest.fixture
async def git_server(repository: Repository) -> AsyncIterator[GitServer]:
    server = GitServer(repository.path)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    async with TestServer(app, host="127.0.0.1") as listening:
        server.port = listening.port or 0
        yield server
