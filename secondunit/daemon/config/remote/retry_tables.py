"""Retry tables of the file: how failed attempts of a job type are tried again."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from secondunit.queue.retry import RetryPolicy


class RetryTable(BaseModel):
    """`[types.T.retry]`: how a type's failed attempts are tried again, where a job does not say so itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_retries: int = Field(3, ge=0, le=100, description="0 to 100")
    backoff: Literal["exponential", "fixed"] = Field("exponential", description="exponential or fixed")
    initial_delay_ms: int = Field(1000, ge=1, le=86_400_000, description="milliseconds, 1 to 86400000")

    def policy(self) -> RetryPolicy:
        """As the queue takes it."""
        return RetryPolicy(self.max_retries, self.backoff, timedelta(milliseconds=self.initial_delay_ms))
