"""Connection errors in words: what aiohttp raises, as a sentence for people."""

import errno
from collections.abc import Mapping

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientPayloadError,
    ClientResponseError,
    InvalidURL,
    ServerDisconnectedError,
)

from secondunit.handlers.tools.network.addresses import AddressRefused
from secondunit.queue.payloads.redaction import redacted
from secondunit.queue.sentences import Sentence, say

REASONS: Mapping[int, str] = {
    errno.ECONNREFUSED: "{whom} refused the connection",
    errno.ECONNRESET: "{whom} broke the connection off",
    errno.EPIPE: "{whom} broke the connection off",
    errno.EHOSTUNREACH: "{whom} can't be reached: there is no way to it",
    errno.ENETUNREACH: "{whom} can't be reached: there is no way to its network",
    errno.ETIMEDOUT: "{whom} did not take the connection in time",
}


def refusal(error: BaseException) -> AddressRefused | None:
    """The refused address behind a failed request, if that was the cause."""
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    return cause if isinstance(cause, AddressRefused) else None


def sentence_of(error: BaseException, whom: str = "the receiver") -> Sentence:
    """Why a request came to nothing, about the server that is called `whom` where the error names none."""
    if refused := refusal(error):
        return say("{why}", why=str(refused))
    match error:
        case TimeoutError():
            return say("{whom} gave no answer in time", whom=whom)
        case ClientConnectorDNSError():
            return say("the name {host} can't be resolved", host=error.host)
        case ClientConnectorCertificateError() | ClientConnectorSSLError():
            return say("no safe connection to {host}: its certificate or TLS is not accepted", host=error.host)
        case ClientConnectorError():
            return _unreached(f"{error.host}:{error.port}", error.os_error)
        case ServerDisconnectedError():
            return say("{whom} closed the connection without an answer", whom=whom)
        case ClientResponseError() | ClientPayloadError():
            return say("{whom} answered something that is no whole HTTP answer", whom=whom)
        case InvalidURL():
            return say("the address of {whom} can't be used", whom=whom)
        case OSError():
            return _unreached(whom, error)
    return say("{whom} can't be asked: {why}", whom=whom, why=redacted(str(error)) or type(error).__name__)


def _unreached(whom: str, error: OSError) -> Sentence:
    told = REASONS.get(error.errno or 0, "{whom} can't be reached: {why}")
    return say(told, whom=whom, why=error.strerror or type(error).__name__)
