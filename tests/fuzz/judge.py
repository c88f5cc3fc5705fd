"""Judge of answers: what the document that the daemon serves does not allow is a breach."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator

from tests.fuzz.wire import Answer, Call

PROBLEM = "application/problem+json"
PARAMETER = re.compile(r"{\w+}")
LINE = re.compile(r"(?:data|event|id|retry)?: .*|")
# Of a request that is no call of the document: what it may be told.
PAGE, LOGIN = "text/html", 303  # of the dashboard, which is for people and in no document
OTHERWISE = frozenset({400, 401, 403, 404, 405, 408, 413, 415, 417, 421, 422, 429, 503})


class Judge:
    """Knows the document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}

    def breaches(self, call: Call, answer: Answer | None) -> Iterator[str]:
        """What is wrong with the answer to a whole request."""
        if answer is None:
            yield "there is no answer"
            return
        asked = self._operation(call.path).get("get" if call.method == "HEAD" else call.method.lower())
        if asked is None and answer.status < 500 and (answer.media == PAGE or answer.status == LOGIN):
            return
        yield from self.faults(answer, call.method)
        if asked is None:
            if answer.status not in OTHERWISE:
                yield f"{answer.status} for what is no call"
            return
        if answer.status == 405:
            yield "405 for a method that the document names"
        elif (told := asked["responses"].get(str(answer.status))) is None:
            yield f"{answer.status} is not in the document"
        elif call.method != "HEAD":
            yield from self._content(self._resolved(told), answer)

    def faults(self, answer: Answer, method: str, *, to_people: bool = False) -> Iterator[str]:
        """What no answer may be, whatever was sent; a refusal may be a page where a page may have been wanted."""
        if answer.status == 500:
            yield f"a fault of the daemon: {answer.body[:300]!r}"
        if answer.status < 400 or method == "HEAD" or (to_people and answer.media == PAGE):
            return
        if answer.media == PROBLEM:
            yield from self._invalid({"$ref": "#/components/schemas/Problem"}, answer)
            if _json(answer).get("status") != answer.status:
                yield "the problem says another status"
        elif answer.status != 503:  # /health has a status of its own
            yield f"{answer.status} is no problem document but {answer.media or 'nothing'}"

    def _content(self, told: Mapping[str, Any], answer: Answer) -> Iterator[str]:
        content = told.get("content", {})
        if not content:
            if answer.body:
                yield f"{answer.status} has a body"
            return
        media = next((media for media in content if media in (answer.media, "*/*")), None)
        if media is None:
            yield f"{answer.status} is {answer.media}, not {', '.join(content)}"
        elif media == "text/event-stream":
            yield from _stream(answer)
        elif media.endswith("json"):
            yield from self._invalid(content[media].get("schema", {}), answer)

    def _invalid(self, schema: Mapping[str, Any], answer: Answer) -> Iterator[str]:
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = Draft202012Validator(whole)
        for error in self._validators[key].iter_errors(_json(answer)):
            yield f"{answer.status}: {error.json_path}: {error.message[:300]}"

    def _operation(self, path: str) -> Mapping[str, Any]:
        for pattern, methods in self._paths:
            if pattern.fullmatch(path):
                return methods
        return {}

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], Mapping[str, Any]]]:
        """Those without parameters first, as they are served."""
        paths = sorted(self.document["paths"].items(), key=lambda item: ("{" in item[0], item[0]))
        return [
            (re.compile(PARAMETER.sub("[^/]+", path).replace("artifacts/[^/]+", "artifacts/.+")), m)
            for path, m in paths
        ]

    def _resolved(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in told:
            return told
        found: Mapping[str, Any] = self.document["components"]["responses"][told["$ref"].rpartition("/")[2]]
        return found


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return {"": f"no JSON: {answer.body[:200]!r}"}


def _stream(answer: Answer) -> Iterator[str]:
    for line in answer.body.decode().splitlines():
        if not LINE.fullmatch(line):
            yield f"a stream has the line {line!r}"
        if line.startswith("data: "):
            json.loads(line.removeprefix("data: "))
