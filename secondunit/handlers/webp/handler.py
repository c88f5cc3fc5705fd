"""Job type `webp`: a picture or an animation as WebP, upright and without what its maker did not mean to tell."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from secondunit.handlers.tools.payload import FILE, payload_like
from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Limits, Profile
from secondunit.handlers.tools.storage.free_space import size_of
from secondunit.handlers.tools.storage.ports import Source, StagedFile
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.outcome import Deterministic

IMAGING = Path(__file__).parent / "converter_child.py"
LIMITS = Limits(address_space=2 << 30, cpu_seconds=60, file_size=512 << 20)
WIDEST = 16383


class WebpPayload(BaseModel):
    """What a client asks for."""

    model_config = payload_like(inputPath="/srv/media/photo.png", outputPath="/srv/media/photo.webp", quality=75)

    input_path: str = Field(description=f"the picture: {FILE}")
    output_path: str = Field(description=f"the WebP: {FILE}")
    quality: int = Field(80, ge=0, le=100, description="of the encoder; of a lossless picture, its effort")
    width: Annotated[int, Field(ge=1, le=WIDEST)] | None = Field(None, description="pixels; default the picture's own")
    lossless: bool = Field(False, description="whether each pixel stays as it is")
    strip_metadata: bool = Field(True, description="drop EXIF and XMP; the colour profile stays")


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: WebpPayload) -> None:
        tools.files.check("inputPath", payload.input_path)
        tools.files.check("outputPath", payload.output_path, [payload.input_path])

    async def run(ctx: JobContext, payload: WebpPayload) -> Mapping[str, Any]:
        async with (
            tools.files.source(payload.input_path, ctx) as source,
            tools.files.target(payload.output_path, ctx, source) as target,
        ):
            await ctx.progress(0.05, f"converting {source.name}")
            made = await _convert(tools, ctx, payload, source, target)
            await ctx.progress(0.95, "publishing")
            size = await target.publish()
        found = made.pop("warnings")
        return {"outputPath": payload.output_path, **made, "size": size} | ({"warnings": found} if found else {})

    return HandlerSpec(
        type="webp",
        payload=WebpPayload,
        run=run,
        check=check,
        concurrency=3,
        reserve=lambda payload: size_of(payload.input_path),
        size=lambda payload: size_of(payload.get("inputPath")),
    )


async def _convert(
    tools: Tools, ctx: JobContext, payload: WebpPayload, source: Source, target: StagedFile
) -> dict[str, Any]:
    """Run the program that does it; its width, height and number of frames, and warnings."""
    wish = {
        "source": str(source.path),
        "target": str(target.path),
        "quality": payload.quality,
        "width": payload.width,
        "lossless": payload.lossless,
        "strip": payload.strip_metadata,
    }
    answers: list[str] = []

    async def on_line(line: str) -> None:
        answers.append(line)

    finished = await tools.programs.run(
        [tools.python, "-I", str(IMAGING)],
        cwd=ctx.workspace.run,
        log=ctx.workspace.log,
        limits=LIMITS,
        profile=Profile("python", writes=[target.path.parent]),
        on_line=on_line,
        stdin=json.dumps(wish).encode(),
        pass_fds=[source.fd, *target.fds],
        beat=ctx.beat,
    )
    if finished.returncode != 0:
        raise failure("the image converter", finished, ctx.attempt, reads=source.name)
    answer: dict[str, Any] = json.loads(answers[-1])
    if "error" in answer:
        raise Deterministic(f"{source.name}: {answer['message']}", type=answer["error"])
    return answer
