"""Command `secondunit submit`: a job from a terminal, followed to its end if asked."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import FAILED, Client, ask, follow, paused
from secondunit.cli.reference.completion import job_types

EXAMPLES = """\b
Examples:
  secondunit submit thumbnail -p videoPath=/media/film.mp4 -p outputPath=/media/film.jpg --wait
  secondunit submit hls -p '{"inputPath": "/media/film.mp4", "outputDir": "/media/film"}'
"""


class Payload(click.ParamType[dict[str, Any]]):
    """JSON, @FILE with JSON, or one key=value whose value is JSON or else text."""

    name = "payload"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The fields that are given."""
        if isinstance(value, dict):
            return value
        try:
            if value.startswith("@"):
                return _object(Path(value[1:]).read_text("utf-8"))
            if value.lstrip().startswith("{"):
                return _object(value)
        except OSError as error:
            self.fail(f"{value[1:]} can't be read: {error.strerror}", param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(f"{value[:200]} is not JSON: {error}", param, ctx)
        name, equals, text = value.partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is neither JSON, @FILE nor key=value", param, ctx)
        return {name: _json_or_text(text)}


@click.command(epilog=EXAMPLES)
@click.argument("type", shell_complete=job_types)
@click.option(
    "-p", "--payload", "payload", type=Payload(), multiple=True,
    help="JSON, @FILE, or key=value; may be given again, later ones win.",
)  # fmt: skip
@click.option("--priority", type=click.IntRange(0, 4), help="0 is first; default by type.")
@click.option("--callback", metavar="URL", help="Told when the job has ended.")
@click.option("--retries", type=click.IntRange(0, 100), help="Further attempts after a failed one; default 3.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds that one attempt may take.")
@click.option("--run-at", metavar="TIME", help="Not before, such as 2026-01-22T12:00:00Z.")
@click.option("--depends-on", metavar="ID", multiple=True, help="Start once this job has ended; may be given again.")
@click.option(
    "--on-parent-failure", type=click.Choice(["fail", "cancel", "run"]), help="What it does when that one failed; fail."
)
@click.option("--wait", is_flag=True, help="Show its progress until it has ended; exit 1 unless it succeeded.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API gave.")
@click.option("--quiet", is_flag=True, help="Print the job's id only.")
def submit(
    type: str, payload: tuple[dict[str, Any], ...], wait: bool, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Submit a job of TYPE."""
    body = _body(type, payload, options)

    async def work(client: Client) -> Any:
        accepted = await client.call("POST", "/api/jobs", body=body)
        if not wait:
            return accepted
        if quiet:
            return await follow(client, accepted["jobId"], lambda event: None)
        if as_json or not output.interactive():
            return await follow(client, accepted["jobId"], output.line)
        with output.bars() as show:
            return await follow(client, accepted["jobId"], show)

    job = ask(work)
    if quiet:
        click.echo(job["jobId"])
    elif as_json or (wait and not output.interactive()):
        output.line(job) if wait else output.printed(job)
    elif wait:
        output.detail({name: job[name] for name in ("jobId", "status", "result", "missing", "error", "duration")})
    else:
        click.echo(f"{job['jobId']} is {job['status']}")
        if job.get("paused"):
            output.say(paused({"type": type, **job}), err=True)
    if wait and job["status"] not in ("completed", "partial"):
        sys.exit(FAILED)


def _body(type: str, payload: tuple[dict[str, Any], ...], options: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for part in payload for name, value in part.items()}
    body = {
        "type": type,
        "payload": fields,
        "priority": options["priority"],
        "callback": options["callback"],
        "retryPolicy": None if options["retries"] is None else {"maxRetries": options["retries"]},
        "timeoutSeconds": options["timeout"],
        "runAt": options["run_at"],
        "dependsOn": list(options["depends_on"]) or None,
        "onParentFailure": options["on_parent_failure"],
    }
    return {name: value for name, value in body.items() if value is not None}


def _object(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("a payload is a JSON object")  # noqa: TRY004  whoever reads it tells it like all else that is wrong with the text
    return content


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
