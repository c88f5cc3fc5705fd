"""HTTP responses with bounds: of a body that is read whole, and of the time that a hostile head can take.

aiohttp takes media types apart with the parser for e-mail, which is quadratic: 8 KB of quotes in a Content-Type held
the loop for seconds. It decodes text by the charset that a server names, and some of Python's codecs are quadratic too.
"""

from aiohttp import BaseConnector, ClientPayloadError, ClientResponse, ClientSession, DummyCookieJar

from secondunit.handlers.tools.network.certificates import trusting
from secondunit.handlers.tools.network.media_types import media_type

MOST = 4 << 20  # of answers that programs read: a Gemini answer has 400 KB at most, a geocoder's a few


def bounded_session(connector: BaseConnector | None = None) -> ClientSession:
    """A session for servers that the operator chose and libraries ask: no cookies, no proxy, answers with bounds."""
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        trust_env=False,
        response_class=BoundedResponse,
        middlewares=(trusting,),
    )


class BodyTooLarge(ClientPayloadError):
    """A server sent more than anybody asked for; the rest is not read."""

    def __init__(self, url: object) -> None:
        super().__init__(f"{url} answers with more than {MOST >> 20} MiB")


class BoundedResponse(ClientResponse):
    """A client session's `response_class`. What is read in pieces (`content`) has its reader's bound."""

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return media_type(self.headers.get("Content-Type", ""))

    @property
    def charset(self) -> str | None:
        """None: what is read as text is UTF-8, whatever the server calls it."""
        return None

    def get_encoding(self) -> str:
        return "utf-8"

    async def read(self) -> bytes:
        """The whole body, or BodyTooLarge."""
        if self._body is None:
            try:
                self._body = await self._whole()
            except BaseException:
                self.close()
                raise
        return await super().read()

    async def _whole(self) -> bytes:
        body = bytearray()
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > MOST:
                raise BodyTooLarge(self.url)
        return bytes(body)
