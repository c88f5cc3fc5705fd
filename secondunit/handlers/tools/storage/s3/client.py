"""S3 client, through obstore: objects are read, written whole, listed, removed, and signed for a while."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.s3 import errors as s3_errors
from secondunit.handlers.tools.storage.s3.urls import S3Path
from secondunit.queue.instrumentation import Fact, Sink, unheard
from secondunit.queue.outcome import Deterministic, Transient

if TYPE_CHECKING:
    from obstore.store import S3Store

# What obstore reads of what AWS's own tools read; it refuses any other (docs: obstore.store.S3Config).
UNDERSTOOD = frozenset(
    "access_key_id secret_access_key session_token token endpoint endpoint_url endpoint_url_s3 region default_region"
    " skip_signature checksum_algorithm conditional_put container_credentials_relative_uri"
    " container_credentials_full_uri container_authorization_token_file disable_tagging disable_bulk_delete"
    " imdsv1_fallback metadata_endpoint request_payer role_arn role_session_name s3_express server_side_encryption"
    " sse_bucket_key_enabled sse_customer_key_base64 sse_kms_key_id endpoint_url_sts unsigned_payload"
    " virtual_hosted_style_request web_identity_token_file".split()
)
# Without one of these obstore would ask the metadata service of a cloud machine that this one need not be.
CREDENTIALS = (
    "access_key_id",
    "container_credentials_relative_uri",
    "container_credentials_full_uri",
    "metadata_endpoint",
    "skip_signature",
    "web_identity_token_file",
)
ENDPOINTS = ("endpoint_url_s3", "endpoint_url", "endpoint")
PIECE = 1 << 20
AT_ONCE = 2
# Nothing is seen of a request until it is answered; its own time-outs, a silence and one more of retries, come first.
ANSWERS_WITHIN, WAITS = timedelta(minutes=10), "S3 is asked"
Anything = Literal["anything"]


class BucketAsked(Fact, frozen=True):
    """A bucket was read, or written, as asked for; or why not, and whether trying again may help."""

    bucket: str
    wrote: bool
    trouble: str | None = None
    passing: bool = False


class Changed(Exception):
    """What stands there is not what was said to stand there."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object that is there: `size` in bytes, `etag` of this content, `marks` what its writer said of it."""

    size: int
    etag: str
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class S3Timeouts:
    """How long to wait: to be connected, for an answer or its next bytes, and how often to ask again.

    What is sent counts as silence until it is answered: parts of 8 MiB, two at once, need half a Mbit a second so.
    """

    connect: timedelta = timedelta(seconds=10)
    silence: timedelta = timedelta(minutes=4)
    retries: int = 3


class S3:
    """All buckets at one endpoint; `environment` are AWS_* variables, those that mean nothing here are left out."""

    def __init__(
        self, environment: Mapping[str, str], timeouts: S3Timeouts = S3Timeouts(), emit: Sink = unheard
    ) -> None:
        named = {name.upper().removeprefix("AWS_").lower(): value for name, value in environment.items()}
        self._config = {name: value for name, value in named.items() if name in UNDERSTOOD and value}
        self._timeouts = timeouts
        self._emit = emit
        self._stores: dict[str, S3Store] = {}

    @property
    def configured(self) -> bool:
        """Whether there is anything to be let in with."""
        return any(name in self._config for name in CREDENTIALS)

    async def find(self, s3_path: S3Path) -> ObjectInfo | None:
        """The object, if it is there."""
        store = await self._store(s3_path.bucket)
        import obstore

        with self._asking(s3_path):
            try:
                answer = await obstore.get_async(store, s3_path.key, options={"head": True})
            except FileNotFoundError:
                return None
        meta = answer.meta
        return ObjectInfo(
            meta["size"], meta["e_tag"] or "", {str(name): text for name, text in answer.attributes.items()}
        )

    async def read(self, s3_path: S3Path, etag: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The content from byte `start` on; Changed when it is not that of `etag` any more."""
        store = await self._store(s3_path.bucket)
        import obstore

        with self._asking(s3_path):
            options: dict[str, Any] = {"if_match": etag, "range": {"offset": start}} if start else {"if_match": etag}
            answer = await obstore.get_async(store, s3_path.key, options=options)  # type: ignore[arg-type]  # a TypedDict
            async for piece in answer.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    async def put(
        self,
        s3_path: S3Path,
        content: bytes,
        kind: str,
        marks: Mapping[str, str],
        *,
        instead_of: ObjectInfo | Anything | None,
    ) -> str:
        """Write a small object in one request, and only in the place of what is said to be there; its ETag."""
        store = await self._store(s3_path.bucket)
        import obstore

        mode: Any = "overwrite" if instead_of == "anything" else _mode(instead_of)
        attributes: Any = {"Content-Type": kind, **marks}
        with self._asking(s3_path, writes=True):
            try:
                done = await obstore.put_async(
                    store, s3_path.key, content, attributes=attributes, mode=mode, use_multipart=False
                )
            except NotImplementedError:  # AWS_CONDITIONAL_PUT=disabled: the operator's S3 has no conditions
                done = await obstore.put_async(store, s3_path.key, content, attributes=attributes, use_multipart=False)
        return done["e_tag"] or ""

    async def put_parts(
        self, s3_path: S3Path, parts: AsyncIterator[bytes], part_size: int, kind: str, marks: Mapping[str, str]
    ) -> str:
        """Write a large object; nothing is to be seen of it until `parts` has ended. Its ETag.

        What `parts` raises is raised here, and the upload aborted first.
        """
        store = await self._store(s3_path.bucket)
        import obstore

        attributes: Any = {"Content-Type": kind, **marks}
        with self._asking(s3_path, writes=True):
            done = await obstore.put_async(
                store, s3_path.key, parts, attributes=attributes, chunk_size=part_size, max_concurrency=AT_ONCE
            )
        return done["e_tag"] or ""

    async def beneath(self, s3_path: S3Path) -> AsyncIterator[tuple[str, int]]:
        """The relative names and sizes of all objects beneath a spot, however deep."""
        store, depth = await self._store(s3_path.bucket), len(s3_path.key) + 1
        import obstore

        with self._asking(s3_path):
            async for page in obstore.list(store, s3_path.key, chunk_size=1000):
                for row in page:
                    yield row["path"][depth:], row["size"]

    async def top(self, s3_path: S3Path) -> tuple[Sequence[str], Sequence[str]]:
        """The relative names right beneath a spot: of objects, and of those with more beneath them."""
        store, depth = await self._store(s3_path.bucket), len(s3_path.key) + 1
        import obstore

        with self._asking(s3_path):
            found = await obstore.list_with_delimiter_async(store, s3_path.key)
        objects = [row["path"][depth:] for row in found["objects"]]
        return objects, [prefix[depth:] for prefix in found["common_prefixes"]]

    async def remove(self, s3_paths: Sequence[S3Path]) -> None:
        """Remove these objects, of one bucket."""
        if not s3_paths:
            return
        store = await self._store(s3_paths[0].bucket)
        import obstore

        with self._asking(s3_paths[0], writes=True):
            await obstore.delete_async(store, [s3_path.key for s3_path in s3_paths])

    async def signed(self, s3_path: S3Path, lasting: timedelta) -> str:
        """A URL by which anybody can read the object for so long."""
        store = await self._store(s3_path.bucket)
        import obstore

        with self._asking(s3_path):
            return await obstore.sign_async(store, "GET", s3_path.key, lasting)

    @contextmanager
    def _asking(self, s3_path: S3Path, *, writes: bool = False) -> Iterator[None]:
        """Whatever goes wrong with S3 inside means something to the job, and how it went is announced."""
        try:
            with _explained(s3_path):
                yield
        except (Deterministic, Transient) as error:
            trouble = None if error.type == "source_missing" else str(error)
            self._emit(BucketAsked(s3_path.bucket, writes, trouble, isinstance(error, Transient)))
            raise
        except Changed:
            self._emit(BucketAsked(s3_path.bucket, writes))
            raise
        self._emit(BucketAsked(s3_path.bucket, writes))

    async def _store(self, bucket: str) -> "S3Store":
        if not self.configured:
            raise s3_errors.no_credentials()
        if bucket not in self._stores:
            self._stores[bucket] = await in_thread(self._opened, bucket)
        return self._stores[bucket]

    def _opened(self, bucket: str) -> "S3Store":
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        endpoint = next((self._config[name] for name in ENDPOINTS if name in self._config), "")
        config: Any = {f"aws_{name}": value for name, value in self._config.items()}
        try:
            return S3Store(
                bucket,
                config=config,
                client_options={
                    "allow_http": endpoint.startswith("http://"),
                    "connect_timeout": self._timeouts.connect,
                    "read_timeout": self._timeouts.silence,
                    "timeout": timedelta(days=1),  # of a whole request, which may be a film; silence is what ends it
                },
                retry_config={"max_retries": self._timeouts.retries, "retry_timeout": self._timeouts.silence},
            )
        except BaseError as error:
            told = str(error).partition(s3_errors.DETAILS)[0].strip()
            raise Deterministic(f"S3 can't be used with the AWS_* settings: {told}", type="bad_configuration") from None


def _mode(instead_of: ObjectInfo | None) -> Any:
    return "create" if instead_of is None else {"e_tag": instead_of.etag}


@contextmanager
def _explained(s3_path: S3Path) -> Iterator[None]:
    """Whatever goes wrong with S3 inside means something to the job."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        raise s3_errors.missing(str(s3_path), error) from None
    except (exceptions.PreconditionError, exceptions.AlreadyExistsError) as error:
        raise Changed(str(s3_path)) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise s3_errors.denied(str(s3_path), error) from None
    except exceptions.BaseError as error:
        raise s3_errors.trouble(str(s3_path), error) from None
