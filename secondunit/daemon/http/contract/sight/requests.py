"""Request models of sight: limits of types, windows that are looked back into."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from secondunit.daemon.http.contract.requests import Ask, TypeName
from secondunit.daemon.http.written_values import words


class LimitAsk(Ask):
    """How many jobs of a type run at once."""

    concurrency: int | None = Field(
        ge=1, le=1000, description="null: as the settings say; to start none, pause the type"
    )


Window = Literal["1h", "6h", "24h", "7d"]


class WindowQuery(Ask):
    """How far back is looked."""

    window: Window = "24h"

    @property
    def span(self) -> timedelta:
        """The window as a span."""
        return timedelta(hours={"1h": 1, "6h": 6, "24h": 24, "7d": 168}[self.window])


class StatsQuery(WindowQuery):
    """What is looked at; `type` may repeat or hold several words with commas."""

    type: Annotated[list[TypeName], BeforeValidator(words)] = []  # noqa: RUF012  pydantic copies it
