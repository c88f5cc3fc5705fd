"""A reader of event streams, as a browser's EventSource is one."""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Message:
    """One block of an event stream; `data` is None for one that is no message."""

    data: Any = None
    event: str | None = None
    id: str | None = None
    comment: str | None = None
    retry: str | None = None


class Reader:
    """What a browser's EventSource sees, and what it does not."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> Message | None:
        """The next block, or None at the end."""
        fields: dict[str, str] = {}
        while line := (await self.response.content.readline()).decode():
            if line == "\n":
                data = fields.pop("data", None)
                return Message(data=None if data is None else json.loads(data), **fields)
            name, _, value = line.rstrip("\n").partition(": ")
            assert name not in fields
            fields[name or "comment"] = value
        assert not fields, "cut off inside a message"
        return None

    async def next(self) -> Message:
        """The next message."""
        while (block := await self.block()) is not None:
            if block.data is not None:
                return block
        raise EOFError

    async def take(self, count: int) -> list[Message]:
        """So many messages."""
        return [await self.next() for _ in range(count)]
