"""Gemini transport: a question through Google's client, sent once, and what came back, unread."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, TCPConnector

from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.handlers.tools.network.responses import bounded_session
from secondunit.handlers.tools.network.session import retry_after
from secondunit.queue.clock import Clock
from secondunit.queue.outcome import Transient, Unanswered
from secondunit.queue.payloads.redaction import redacted

API_VERSION = "v1beta"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: `parts` are texts and JPEG pictures in their order, `schema` the JSON schema of the answer.

    `model` None: the one that the operator chose.
    """

    instructions: str
    parts: Sequence[str | bytes]
    schema: Mapping[str, Any]
    max_output_tokens: int
    temperature: float = 0.0
    model: str | None = None


class GeminiHttpError(Exception):
    """Gemini answered with an HTTP error and charged nothing; `details` is its body, {} when that was no JSON."""

    def __init__(self, code: int, details: Mapping[str, Any], retry_after: timedelta | None = None) -> None:
        super().__init__(f"Gemini answered {code}")
        self.code = code
        self.details = details
        self.retry_after = retry_after


class GeminiTransport(Protocol):
    """The way to a model."""

    async def send(self, question: Question) -> str:
        """The body of the answer; Refused, Unanswered, or Transient when the question did not even leave."""
        ...

    async def close(self) -> None: ...


class GoogleTransport:
    """google-genai, imported at the first question: that takes a second and 50 MB.

    It never sends twice (its own retries would, also after a lost answer). Connections are not kept: a server that
    closes an idle one just as a question leaves would put that question in doubt.
    """

    def __init__(self, key: str, model: str, clock: Clock, *, base_url: str | None = None, limit: timedelta) -> None:
        self._key = key
        self._model = model
        self._clock = clock
        self._base_url = base_url
        self._limit = limit
        self._opening = asyncio.Lock()
        self._session: ClientSession | None = None
        self._client: Any = None

    async def send(self, question: Question) -> str:
        client = await self._opened()
        config = await asyncio.to_thread(_config, question)
        contents = await asyncio.to_thread(_contents, question)
        from google.genai.errors import APIError

        try:
            model = question.model or self._model
            answer = await client.aio.models.generate_content(model=model, contents=contents, config=config)
        except APIError as error:
            raise self._refused(error) from error
        except ClientConnectorError as error:
            raise Transient(
                f"Gemini can't be reached: {sentence_of(error, 'it')}", type="gemini_unreachable"
            ) from error
        except (TimeoutError, ClientError, OSError, UnicodeDecodeError) as error:
            raise Unanswered(
                f"Gemini was asked, and its answer did not arrive ({_words(error)}); it may have been charged",
                type="gemini_unanswered",
            ) from error
        except (ValueError, RecursionError) as error:  # only the body of an HTTP error is read as JSON there
            raise Transient(
                "Gemini answered with an error that can't be read; trying again", type="gemini_unavailable"
            ) from error
        return str(answer.sdk_http_response.body)

    async def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.aio.aclose()
            await asyncio.to_thread(self._client.close)
        if self._session is not None:
            await self._session.close()

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._session = bounded_session(TCPConnector(force_close=True, limit=0))
                self._client = await asyncio.to_thread(self._connect, self._session)
        return self._client

    def _connect(self, session: ClientSession) -> Any:
        from google.genai import Client
        from google.genai.types import HttpOptions, HttpRetryOptions

        options = HttpOptions(
            api_version=API_VERSION,
            base_url=self._base_url,
            timeout=round(self._limit.total_seconds() * 1000),
            retry_options=HttpRetryOptions(attempts=1),
            aiohttp_client=session,
        )
        return Client(vertexai=False, api_key=self._key, http_options=options)

    def _refused(self, error: Any) -> GeminiHttpError:
        details = error.details if isinstance(error.details, Mapping) else {}
        wait = retry_after(error.response, self._clock.now()) if isinstance(error.response, ClientResponse) else None
        return GeminiHttpError(error.code, details, wait)


def _config(question: Question) -> Any:
    from google.genai.types import AutomaticFunctionCallingConfig, GenerateContentConfig

    return GenerateContentConfig(
        system_instruction=question.instructions,
        temperature=question.temperature,
        max_output_tokens=question.max_output_tokens,
        response_mime_type="application/json",
        response_json_schema=dict(question.schema),
        automatic_function_calling=AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
        should_return_http_response=True,
    )


def _contents(question: Question) -> Any:
    from google.genai.types import Content, Part

    parts = [
        Part.from_bytes(data=part, mime_type="image/jpeg") if isinstance(part, bytes) else Part.from_text(text=part)
        for part in question.parts
    ]
    return [Content(role="user", parts=parts)]


def _words(error: BaseException) -> str:
    return redacted(f"{type(error).__name__}: {error}".removesuffix(": "))
