"""Payload schema of `thumbnail` jobs."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from secondunit.handlers.thumbnail.sprite import Sprite
from secondunit.handlers.thumbnail.timestamps import FORMATS as MOMENTS
from secondunit.handlers.thumbnail.timestamps import Auto, parse
from secondunit.handlers.tools.media.pictures import FORMATS
from secondunit.handlers.tools.payload import FILE, PAYLOAD, payload_like
from secondunit.queue.errors import BadPayload, FieldError

NARROWEST, WIDEST = 16, 7680
NUMBER, MOST = "{n}", 100
MOST_IN_A_LINE, MOST_TILES = 100, 500


class SpritePayload(BaseModel):
    """A grid of pictures at even moments; `width` of each, by default the job's own."""

    model_config = PAYLOAD

    columns: int = Field(10, ge=1, le=MOST_IN_A_LINE, description="pictures in a line")
    rows: int = Field(10, ge=1, le=MOST_IN_A_LINE, description="lines of pictures")
    width: Annotated[int, Field(ge=NARROWEST, le=WIDEST)] | None = Field(
        None, description="pixels of one picture; default the job's `width`"
    )


class ThumbnailPayload(BaseModel):
    """What a client asks for."""

    model_config = payload_like(
        videoPath="/srv/media/film.mp4", outputPath="/srv/media/film.jpg", timestamp="00:01:30", width=640
    )

    video_path: str = Field(description=f"the film: {FILE}")
    output_path: str = Field(description=f"the picture: {FILE}; its suffix says the format: {', '.join(FORMATS)}")
    timestamp: str | float = Field("00:00:01", description=f"which moment: {MOMENTS}")
    timestamps: Annotated[list[str | float], Field(min_length=1, max_length=MOST)] | None = Field(
        None, description=f"a picture of each of these moments; {NUMBER} in outputPath becomes 1, 2, ..."
    )
    sprite: SpritePayload | None = Field(None, description="one picture of many moments, and a WebVTT index beside it")
    width: int = Field(320, ge=NARROWEST, le=WIDEST, description="pixels; never more than the film has")
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="of the encoder; default the format's own, PNG has none"
    )

    @field_validator("timestamp")
    @classmethod
    def _readable(cls, timestamp: str | float) -> str | float:
        parse(timestamp)
        return timestamp

    @field_validator("timestamps")
    @classmethod
    def _moments(cls, timestamps: list[str | float] | None) -> list[str | float] | None:
        if any(isinstance(parse(timestamp), Auto) for timestamp in timestamps or ()):
            raise ValueError("a list says each moment; auto stands alone, as timestamp")
        return timestamps

    @property
    def suffix(self) -> str:
        """The format, as the output's name says it."""
        return PurePosixPath(self.output_path).suffix.lower()

    @property
    def index_path(self) -> str:
        """Where a sprite's index goes: beside it, under its name."""
        return f"{self.output_path[: -len(self.suffix)]}.vtt"

    @property
    def one_width(self) -> int:
        """The width of one picture."""
        return (self.sprite and self.sprite.width) or self.width


def refuse(payload: ThumbnailPayload) -> None:
    """Raise BadPayload for what no field alone shows."""
    if payload.suffix not in FORMATS:
        names = ", ".join(FORMATS)
        raise BadPayload(FieldError("outputPath", f"the name must end in one of {names}: it says the format"))
    name = PurePosixPath(payload.output_path).name
    if payload.timestamps and (NUMBER not in name or payload.output_path.count(NUMBER) > 1):
        raise BadPayload(FieldError("outputPath", f"the name must hold {NUMBER} once, which becomes 1, 2, ..."))
    if payload.sprite:
        _refuse_sprite(payload, payload.sprite)


def _refuse_sprite(payload: ThumbnailPayload, sprite: SpritePayload) -> None:
    for field in ("timestamps", "timestamp"):
        if field in payload.model_fields_set and getattr(payload, field) is not None:
            raise BadPayload(FieldError(field, "a sprite has moments of its own; leave out this field, or sprite"))
    tiles = sprite.columns * sprite.rows
    if tiles > MOST_TILES:
        said = f"{sprite.columns} columns and {sprite.rows} rows are {tiles} pictures; ask for at most {MOST_TILES}"
        raise BadPayload(FieldError("sprite", said))
    # The film's shape is not known yet: it is refused here only if it would be too large lying on its side, as 16:9 is.
    if problem := Sprite(sprite.columns, sprite.rows, payload.one_width, payload.one_width * 9 // 16).too_large:
        raise BadPayload(FieldError("sprite", f"{problem}; ask for fewer columns or rows, or a smaller width"))
