"""Fake Gemini server, a STAND-IN for tests and demos: it looks at no picture, and its recipes are all the same.

Asked for places instead of a recipe, it names those of `PLACES` that the transcript has.

Start it alone with `python -m secondunit.testing.fakes.gemini --port N`; `GET /calls` tells what was asked,
`POST /script` takes a JSON list of behaviours for the next questions. Whoever asked for it must say so: the daemon
never uses it.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from secondunit.testing.fakes.listening import listening
from secondunit.testing.standalone import serve_standalone

LARGEST_QUESTION = 64 << 20
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 50, "totalTokenCount": 1250}
DATA = "About the video (data): "
TRANSCRIPT = "Transcript (data): "
LINE = re.compile(r"\[([0-9:]+)\] (.*)")
PLACES = ("Taipei 101", "Shilin Night Market", "Longshan Temple", "Elephant Mountain", "Beitou Hot Springs")
RECIPE: Mapping[str, Any] = {
    "isRecipe": True,
    "shows": "",
    "name": "Stand-in soup",
    "description": "Made up by a stand-in for Gemini; nobody looked at the video.",
    "servings": 2,
    "prepMinutes": 5,
    "cookMinutes": 10,
    "ingredients": [
        {"name": "water", "amount": "500", "unit": "ml"},
        {"name": "salt", "amount": "1", "unit": "pinch"},
    ],
    "steps": [
        {"order": 1, "text": "Boil the water.", "timestamp": "00:00"},
        {"order": 2, "text": "Add the salt.", "timestamp": "00:02"},
    ],
    "tags": ["stand-in"],
    "language": "en",
}
OTHER = {**RECIPE, "isRecipe": False, "shows": "a cat on a piano", "ingredients": [], "steps": []}
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came in: `video` names the video by its title, or else by its pictures."""

    video: str
    model: str
    key: str
    body: Mapping[str, Any]

    @property
    def texts(self) -> list[str]:
        """The texts of the question."""
        return [part["text"] for part in _parts(self.body) if "text" in part]

    @property
    def pictures(self) -> list[bytes]:
        """The pictures of the question."""
        sent = [part["inlineData"]["data"] for part in _parts(self.body) if "inlineData" in part]
        return [base64.urlsafe_b64decode(data) for data in sent]


@dataclass(slots=True)
class StandIn:
    """Answers `generateContent`. `script` holds what to do with the next questions; when it is empty, a recipe comes.

    `places` are those that it knows of; which of them a transcript names is its answer to a question for places.
    `keys`: if there are any, a model's page is for these alone; it has every model but `gone`.

    Behaviours: answer, slow:SECONDS, other (not a recipe), fenced, rate:SECONDS, quota, daily, status:CODE, key,
    prompt_block, safety, cut, empty, malformed (the recipe), broken (the whole body), half, close, hang.
    """

    script: deque[str] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    places: Sequence[str] = PLACES
    keys: Sequence[str] = ()

    @property
    def calls(self) -> Counter[str]:
        """How often each video was asked about."""
        return Counter(question.video for question in self.asked)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve on loopback; the base URL."""
        async with listening(self.app(), port) as url:
            yield url

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(client_max_size=LARGEST_QUESTION)
        app.router.add_post("/v1beta/models/{call}", self._generate)
        app.router.add_get("/v1beta/models/{model}", self._model)
        app.router.add_get("/calls", self._calls)
        app.router.add_post("/script", self._script)
        return app

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = request.match_info["call"].partition(":")[0]
        self.asked.append(Asked(_video(body), model, request.headers.get("x-goog-api-key", ""), body))
        behaviour, _, argument = (self.script.popleft() if self.script else "answer").partition(":")
        match behaviour:
            case "slow":
                await asyncio.sleep(float(argument))
            case "hang":
                await asyncio.sleep(3600)
            case "close" | "half":
                return await _cut_off(request, started=behaviour == "half")
            case "broken":
                return web.Response(text='{"candidates": [{"content"', content_type="application/json")
        good = _found(body, self.places) if _for_places(body) else RECIPE
        return refusal(behaviour, argument) or web.json_response(answer(behaviour, model, good))

    async def _model(self, request: web.Request) -> web.Response:
        if self.keys and request.headers.get("x-goog-api-key") not in self.keys:
            return refusal("key", "") or web.Response(status=400)
        model = request.match_info["model"]
        return _error(404, "NOT_FOUND") if model == "gone" else web.json_response({"name": f"models/{model}"})

    async def _calls(self, _: web.Request) -> web.Response:
        return web.json_response({"total": len(self.asked), "videos": self.calls})

    async def _script(self, request: web.Request) -> web.Response:
        self.script.extend(await request.json())
        return web.json_response(list(self.script))


def answer(behaviour: str, model: str, good: Mapping[str, Any] = RECIPE) -> dict[str, Any]:
    """The body of an answer with status 200; `good` is what a good one says."""
    texts = {
        "other": json.dumps(OTHER),
        "fenced": f"```json\n{json.dumps(good)}\n```",
        "malformed": '{"name": "half a recipe", "steps": "none"}',
        "cut": json.dumps(good)[:60],
        "empty": "",
    }
    finish = {"cut": "MAX_TOKENS", "safety": "SAFETY"}.get(behaviour, "STOP")
    common = {"usageMetadata": USAGE, "modelVersion": model, "responseId": "stand-in"}
    if behaviour == "prompt_block":
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **common}
    candidate: dict[str, Any] = {"finishReason": finish, "index": 0}
    if behaviour != "safety":
        text = texts.get(behaviour, json.dumps(good))
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [candidate], **common}


def refusal(behaviour: str, argument: str) -> web.Response | None:
    """The HTTP error that a behaviour stands for."""
    match behaviour:
        case "rate":
            return _error(429, "RESOURCE_EXHAUSTED", _quota(PER_MINUTE), _retry(f"{argument}s"))
        case "quota":
            return _error(429, "RESOURCE_EXHAUSTED")
        case "daily":
            return _error(429, "RESOURCE_EXHAUSTED", _quota(PER_DAY), _retry("21s"))
        case "key":
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return _error(400, "INVALID_ARGUMENT", reason)
        case "status":
            return _error(int(argument), "STATUS")
    return None


def _error(code: int, status: str, *details: Mapping[str, Any]) -> web.Response:
    error = {"code": code, "message": f"the stand-in was told to answer {code}", "status": status}
    return web.json_response({"error": error | ({"details": details} if details else {})}, status=code)


def _retry(delay: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def _quota(name: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


async def _cut_off(request: web.Request, *, started: bool) -> web.StreamResponse:
    """Close the connection after the question was read, perhaps in the middle of the answer."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    if started:
        await response.prepare(request)
        await response.write(b'{"candidates": [')
    if request.transport:
        request.transport.close()
    return response


def _parts(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for content in body.get("contents", ()) for part in content.get("parts", ())]


def _for_places(body: Mapping[str, Any]) -> bool:
    schema = body.get("generationConfig", {}).get("responseJsonSchema", {})
    return "places" in schema.get("properties", {})


def _found(body: Mapping[str, Any], places: Sequence[str]) -> Mapping[str, Any]:
    """The places that the transcript names, each at the time of its line."""
    said = next((part["text"] for part in _parts(body) if part.get("text", "").startswith(TRANSCRIPT)), None)
    lines = LINE.findall(json.loads(said.removeprefix(TRANSCRIPT))) if said else []
    named = [(at, name, line) for at, line in lines for name in places if name in line]
    return {"places": [_place(at, name, line) for at, name, line in named]}


def _place(at: str, name: str, line: str) -> Mapping[str, Any]:
    where = {"name": name, "kind": "poi", "city": None, "country": None}
    return where | {"quote": line, "timecode": at, "description": f"The video shows {name}.", "tags": ["stand-in"]}


def _video(body: Mapping[str, Any]) -> str:
    parts = _parts(body)
    known = next((part["text"] for part in parts if part.get("text", "").startswith(DATA)), DATA + "{}")
    title = json.loads(known.removeprefix(DATA)).get("title")
    pictures = "".join(part["inlineData"]["data"] for part in parts if "inlineData" in part)
    return str(title or f"sha256:{hashlib.sha256(pictures.encode()).hexdigest()[:8]}")


if __name__ == "__main__":
    serve_standalone(__doc__, StandIn().serving, "a STAND-IN for Gemini answers at {url}; its recipes are made up")
