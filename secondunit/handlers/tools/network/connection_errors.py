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

REASONS: Mapping[int, str] = {
    errno.ECONNREFUSED: "refused the connection",
    errno.ECONNRESET: "broke the connection off",
    errno.EPIPE: "broke the connection off",
    errno.EHOSTUNREACH: "can't be reached: there is no way to it",
    errno.ENETUNREACH: "can't be reached: there is no way to its network",
    errno.ETIMEDOUT: "did not take the connection in time",
}


def refusal(error: BaseException) -> AddressRefused | None:
    """The refused address behind a failed request, if that was the cause."""
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    return cause if isinstance(cause, AddressRefused) else None


def sentence_of(error: BaseException, whom: str = "the receiver") -> str:
    """Why a request came to nothing, about the server that is called `whom` where the error names none."""
    if refused := refusal(error):
        return str(refused)
    match error:
        case TimeoutError():
            return f"{whom} gave no answer in time"
        case ClientConnectorDNSError():
            return f"the name {error.host} can't be resolved"
        case ClientConnectorCertificateError() | ClientConnectorSSLError():
            return f"no safe connection to {error.host}: its certificate or TLS is not accepted"
        case ClientConnectorError():
            return f"{error.host}:{error.port} {_reason(error.os_error)}"
        case ServerDisconnectedError():
            return f"{whom} closed the connection without an answer"
        case ClientResponseError() | ClientPayloadError():
            return f"{whom} answered something that is no whole HTTP answer"
        case InvalidURL():
            return f"the address of {whom} can't be used"
        case OSError():
            return f"{whom} {_reason(error)}"
    return f"{whom} can't be asked: {redacted(str(error)) or type(error).__name__}"


def _reason(error: OSError) -> str:
    return REASONS.get(error.errno or 0) or f"can't be reached: {error.strerror or type(error).__name__}"
