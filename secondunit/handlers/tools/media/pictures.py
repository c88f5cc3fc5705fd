"""Picture encoding in the format of a file's name, in a program of its own under limits (`picture_child.py`)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Limits, Profile, Programs
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

CHILD = Path(__file__).parent / "picture_child.py"
# An AVIF of the noisiest 7680 x 7680 takes 2.1 GB of address space and 70 s; its PNG has 170 MB.
LIMITS = Limits(address_space=3 << 30, cpu_seconds=240, file_size=256 << 20)
FORMATS: Mapping[str, Mapping[str, Any]] = {
    ".webp": {"format": "WEBP", "quality": 80, "method": 4},
    ".avif": {"format": "AVIF", "quality": 65, "speed": 8, "max_threads": 2},
    ".jpg": {"format": "JPEG", "quality": 85, "optimize": True},
    ".jpeg": {"format": "JPEG", "quality": 85, "optimize": True},
    ".png": {"format": "PNG", "optimize": True},
}


class Picture(Value, frozen=True):
    """A frame to write to `target` in the format that `suffix` names; `quality` where it is not the format's own.

    With `others`, of the same size, it is the first tile of a grid of so many `columns`, filled row by row.
    `fds` are what the program has to be given for `target` to lead anywhere.
    """

    frame: Path
    target: Path
    suffix: str
    quality: int | None = None
    fds: Sequence[int] = ()
    others: Sequence[Path] = ()
    columns: int = 1

    @property
    def options(self) -> Mapping[str, Any]:
        """What Pillow is told."""
        options = FORMATS[self.suffix]
        return options if self.quality is None or "quality" not in options else {**options, "quality": self.quality}

    @property
    def wish(self) -> Mapping[str, Any]:
        """What the program is told."""
        frames = [str(frame) for frame in (self.frame, *self.others)]
        return {"frames": frames, "columns": self.columns, "target": str(self.target), "options": dict(self.options)}


class PictureWriter(Value, frozen=True):
    """Writes pictures for one job, with the interpreter `python`."""

    programs: Programs
    python: str
    ctx: JobContext

    async def write(self, pictures: Sequence[Picture], *, most_bytes: int | None = None) -> Sequence[int]:
        """Write them, each JPEG of at most so many bytes if that can be; a hash of what each looks like.

        Deterministic: "image_too_large", "not_encodable", and the limits' own.
        """
        answers: list[Mapping[str, Any]] = []

        async def on_line(line: str) -> None:
            answers.append(json.loads(line))

        wish = {"pictures": [one.wish for one in pictures], "most_bytes": most_bytes}
        finished = await self.programs.run(
            [self.python, "-I", str(CHILD)],
            cwd=self.ctx.workspace.run,
            log=self.ctx.workspace.log,
            limits=LIMITS,
            profile=Profile("python", writes=sorted({one.target.parent for one in pictures})),
            on_line=on_line,
            beat=self.ctx.beat,
            stdin=json.dumps(wish).encode(),
            pass_fds=[fd for one in pictures for fd in one.fds],
        )
        for answer in answers:
            if "error" in answer:
                raise Deterministic(answer["message"], type=answer["error"])
        if finished.returncode != 0 or len(answers) != len(pictures):
            raise failure("the picture encoder", finished, self.ctx.attempt)
        return [answer["look"] for answer in answers]
