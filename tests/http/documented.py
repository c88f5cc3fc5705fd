"""What the document says of an answer."""

import re

import msgspec

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute, OneOf


def fits(answer: type[msgspec.Struct] | OneOf, content: bytes) -> bool:
    """Whether the content is what the document says of this answer; of one kind alone, an error says why not."""
    if not isinstance(answer, OneOf):
        return msgspec.json.decode(content, type=answer) is not None
    faults = list[msgspec.ValidationError]()
    for kind in answer.kinds:
        try:
            return fits(kind, content)
        except msgspec.ValidationError as fault:
            faults.append(fault)
    raise ExceptionGroup(f"none of {answer.name}", faults)


def _route(method: str, path: str) -> ApiRoute | None:
    path = path.partition("?")[0]
    for route in sorted(ROUTES, key=lambda route: "{" in route.path):
        pattern = re.sub(r"{\w+}", "[^/]+", route.path)
        if route.method == method and re.fullmatch(pattern, path):
            return route
    return None
