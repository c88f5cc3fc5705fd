"""Job type `deploy`: a project that the operator lists, from its repository to a release that serves."""

import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.deployment.accounts import lend, take_back
from secondunit.handlers.tools.deployment.archive import unpack
from secondunit.handlers.tools.deployment.commands import run_command
from secondunit.handlers.tools.deployment.deployments import Deployments
from secondunit.handlers.tools.deployment.projects import Project, disagreements
from secondunit.handlers.tools.deployment.releases import Releases
from secondunit.handlers.tools.payload import payload_like
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.waiting import on_disk
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext, no_inputs
from secondunit.queue.outcome import Deterministic

OFF = "list what it may deploy in the configuration file, each project as a table [deploy.ID]"
LOG = "job.log"
HOUR, BESIDES = timedelta(hours=1), timedelta(minutes=40)  # the longest fetch and what else is done beside a build


class DeployPayload(BaseModel):
    """Which project; the rest, where it is given, must be what the project's table says."""

    model_config = payload_like(projectId="website")

    project_id: str = Field(max_length=200, description="a project that the settings list as [deploy.ID]")
    repo_url: str | None = Field(None, description="the project's own, if it is given")
    branch: str | None = Field(None, description="one that the project allows; default its first")
    directory: str | None = Field(None, description="the project's own, if it is given")
    build_command: str | None = Field(None, description="the project's own, if it is given")


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: DeployPayload) -> None:
        _project(tools, payload)

    async def run(ctx: JobContext, payload: DeployPayload) -> Mapping[str, Any]:
        try:
            deployments, project = _project(tools, payload)
        except (BadPayload, TypeUnavailable) as error:  # the configuration was changed since it was submitted
            raise Deterministic(str(error), type="not_allowed") from None
        await _yield_to_newer(deployments, ctx, payload.project_id)
        with deployments.turn(payload.project_id):
            return await _deploy(tools, deployments, ctx, payload, project)

    projects = tools.deployments.projects.values() if tools.deployments else ()
    timeout = max([HOUR, *(project.limit + project.health_limit + BESIDES for project in projects)])
    return HandlerSpec(
        type="deploy",
        payload=DeployPayload,
        run=run,
        check=check,
        inputs=no_inputs,
        timeout=timeout,
        audited=True,
        programs=("git",),
    )


def _project(tools: Tools, payload: DeployPayload) -> tuple[Deployments, Project]:
    """The project that a payload may deploy; BadPayload names each field that its table does not allow."""
    if tools.deployments is None or not tools.deployments.projects:
        raise TypeUnavailable("deploy", OFF)
    project = tools.deployments.projects.get(payload.project_id)
    if project is None:
        raise BadPayload(FieldError("projectId", "no project of this id is listed as [deploy.ID] in the configuration"))
    given = payload.model_dump(by_alias=True, exclude={"project_id"})
    if faults := list(disagreements(payload.project_id, project, given)):
        raise BadPayload(*faults)
    return tools.deployments, project


async def _yield_to_newer(deployments: Deployments, ctx: JobContext, id: str) -> None:
    if await deployments.others.newer(ctx.job_id, "projectId"):  # whose it is, is its submitter's affair
        raise Deterministic(f"a deploy of {id} that was submitted later is waiting", type="superseded")


async def _deploy(
    tools: Tools, deployments: Deployments, ctx: JobContext, payload: DeployPayload, project: Project
) -> Mapping[str, Any]:
    id, releases = payload.project_id, Releases(project.directory)
    async with ctx.phase("fetch", 0.3):
        commit = await deployments.git.fetch(id, project, payload.branch or project.branches[0], ctx)
    await ctx.stats(commit=commit)

    async def make() -> str:
        return str(await _build(tools, deployments, ctx, id, project, commit, releases))

    async with ctx.phase("build", 0.6):
        # Of one commit there is one build a job, however often the job is run.
        release = Path(await ctx.step(f"build {commit}", make, keeps=lambda made: [Path(made)]))
    try:
        async with ctx.phase("switch", 0.1):
            await _switch(tools, deployments, ctx, id, releases, release)
    finally:
        await on_disk(ctx, "old releases are removed", releases.prune, project.keep)
    await ctx.progress(1.0, "done")
    return {"projectId": id, "commit": commit, "release": str(release), "log": LOG, "rolledBack": False}


async def _build(
    tools: Tools,
    deployments: Deployments,
    ctx: JobContext,
    id: str,
    project: Project,
    commit: str,
    releases: Releases,
) -> Path:
    archive = ctx.workspace.run / "commit.tar"
    await deployments.git.archive(id, project, commit, archive, ctx)
    folder = await on_disk(ctx, "unfinished releases are removed", releases.begin, tools.clock.now(), commit)
    try:
        await unpack(tools.programs, tools.python, ctx, archive, folder, tools.max_download)
        await in_thread(archive.unlink)
        if project.build:
            await _command(tools, deployments, ctx, id, "build", folder)
        return await on_disk(ctx, "the release is brought to the disk", releases.finish, folder)
    except BaseException:
        await on_disk(ctx, "the release is removed", shutil.rmtree, folder, ignore_errors=True)
        raise


async def _command(
    tools: Tools, deployments: Deployments, ctx: JobContext, id: str, what: Literal["build", "health"], folder: Path
) -> None:
    """Run a command of a project under its account; a build gets the folder for as long as it runs."""
    project, account = deployments.projects[id], deployments.accounts.get(id)
    argv, limit = (project.build, project.limit) if what == "build" else (project.health, project.health_limit)
    builder = account if what == "build" else None
    await on_disk(ctx, "the release is handed to its builder", lend, folder, builder)
    try:
        await run_command(tools.programs, ctx, project, what, argv, folder, limit, account=account)
    finally:
        await on_disk(ctx, "the release is taken back", take_back, folder, builder)


async def _switch(
    tools: Tools, deployments: Deployments, ctx: JobContext, id: str, releases: Releases, release: Path
) -> None:
    """Serve the release; if it is not found healthy, for whatever reason, serve again what was before."""
    await in_thread(releases.serve, release)
    try:
        if deployments.projects[id].health:
            await _command(tools, deployments, ctx, id, "health", release)
        await in_thread(releases.healthy, release)
    except BaseException as error:
        former = await in_thread(releases.go_back)
        if isinstance(error, Exception):  # a run that is being stopped may have lost its right to write
            serves = str(former) if former else None
            await ctx.stats(rolledBack=True, failedRelease=str(release), release=serves)
        raise
