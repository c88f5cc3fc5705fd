"""Parser of server-sent events (WHATWG): bytes in, messages out, and the id after which to go on."""

import json
from typing import Any

Message = dict[str, Any]


class EventStream:
    """Messages of one stream of events; `last_id` and `retry` (seconds) outlive its connections."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = 3.0
        self._rest = b""
        self._data: list[str] = []
        self._id = ""

    def resume(self, last_id: str) -> None:
        """Go on after this id: half a message of an earlier connection is forgotten."""
        self._rest, self._data = b"", []
        self.last_id = self._id = last_id

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are whole with these bytes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found = []
        for line in lines:
            message = self._line(line.decode().removesuffix("\r"))
            if message is not None:
                found.append(message)
        return found

    def _line(self, line: str) -> Message | None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            data, self._data = "\n".join(self._data), []
            self.last_id = self._id  # only now: cut off before this line, the message has to come again
            return json.loads(data) if data else None
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdecimal():
            self.retry = int(value) / 1000
        return None
