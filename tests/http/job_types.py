"""Job types of the API's tests."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.retry import RetryPolicy


class Clip(BaseModel):
    """The payload of the tests' job type."""

    model_config = ConfigDict(alias_generator=to_camel)

    input_path: str
    width: int = 320
    headers: dict[str, str] | None = None
    cookies: str | None = None


class Empty(BaseModel):
    """A payload without fields."""


async def _never_run(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


def _check(clip: Clip) -> None:
    if clip.input_path == "/exits":
        raise SystemExit("secret of the inside")
    if clip.input_path.startswith("/outside"):
        raise BadPayload(FieldError("inputPath", "lies outside of MEDIA_ROOTS"))


def _unavailable(payload: Empty) -> None:
    raise TypeUnavailable("paid", "set GEMINI_API_KEY")


SPECS = (
    HandlerSpec("clip", Clip, _never_run, priority=1, check=_check, secrets=("headers", "cookies")),
    HandlerSpec("paid", Empty, _never_run, check=_unavailable),
    HandlerSpec("idle", Empty, _never_run, retry=RetryPolicy(5, "fixed", timedelta(seconds=9))),
)
