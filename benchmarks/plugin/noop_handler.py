"""A job type that does nothing, as a plugin writes it."""

from pydantic import BaseModel

from secondunit.queue.handler import HandlerSpec, JobContext


class Payload(BaseModel):
    """A number."""

    n: int = 0


def build(tools: object) -> HandlerSpec:
    """The type `noop`."""

    async def run(ctx: JobContext, payload: Payload) -> dict[str, int]:
        return {"n": payload.n}

    return HandlerSpec(type="noop", payload=Payload, run=run, concurrency=10)
