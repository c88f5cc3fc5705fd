"""Local storage: inputs and outputs as files beneath MEDIA_ROOTS; nothing else can be reached through them."""

import errno
import os
import re
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.destination import Destination, output_errors
from secondunit.handlers.tools.storage.free_space import refuse_full
from secondunit.handlers.tools.storage.ownership import FolderLog, Standing, look_at
from secondunit.handlers.tools.storage.ports import Source
from secondunit.handlers.tools.storage.replaced import FILES, remove_replaced
from secondunit.handlers.tools.storage.roots import PathRefused, RootedPath, Roots
from secondunit.handlers.tools.storage.safe_open import DENIED, ESCAPES, Opener
from secondunit.handlers.tools.storage.staging import StagingFolder
from secondunit.handlers.tools.waiting import on_disk
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.ports.folders import Replaced

PUBLISHES, TIDIES = "the output is brought to the disk", "the staging folder is removed"
LOOKS = "what stands there is compared"
SAFE_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")


class LocalFiles:
    """Opens each root once, when made; a root that is not there is an error. Blocking calls go to threads.

    `log` has what was published; without one no folder can be.
    """

    def __init__(self, roots: Sequence[Path], *, log: FolderLog | None = None, opener: Opener | None = None) -> None:
        self._opener = opener or Opener()
        self._log = log
        self._roots = Roots(roots)
        self._open = {root: os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for root in roots}

    def close(self) -> None:
        """Let go of the roots."""
        for root in self._open.values():
            os.close(root)
        self._open = {}

    def check(self, field: str, path: str, inputs: Sequence[str] = ()) -> None:
        """Refuse a path that can't be right by its name alone, or that is one of the inputs."""
        try:
            self._roots.locate_output(path, inputs)
        except PathRefused as refusal:
            raise BadPayload(FieldError(field, str(refusal))) from None

    def check_folder(self, field: str, path: str, inputs: Sequence[str]) -> None:
        """As `check`, and refuse a folder that contains an input or a root; bad inputs are their own fields' affair."""
        try:
            self._roots.locate_folder(path, inputs)
        except PathRefused as refusal:
            raise BadPayload(FieldError(field, str(refusal))) from None

    @asynccontextmanager
    async def source(self, path: str, _ctx: JobContext | None = None, /) -> AsyncIterator[Source]:
        """Open an input; links are followed as long as they stay beneath the root."""
        place = self._located(path)
        held = ExitStack()
        try:
            yield await in_thread(self._open_source, held, place)
        finally:
            await in_thread(held.close)

    async def identity(self, path: str) -> str | None:
        """Device, inode, size and time of change of the file that `path` leads to now; None if there is none."""
        return await in_thread(self._identity, self._located(path))

    @asynccontextmanager
    async def target(self, path: str, ctx: JobContext, source: Source | None = None) -> AsyncIterator["LocalFile"]:
        """Stage a file that replaces what file stands at `path`."""
        held, place = ExitStack(), self._located(path)
        try:
            staging, destination = await in_thread(self._staging, held, place, ctx)
            await in_thread(destination.refuse_folder)
            if source:
                await in_thread(self._refuse_itself, place, source)
            yield LocalFile(staging, destination, ctx)
        finally:
            await on_disk(ctx, TIDIES, held.close)

    @asynccontextmanager
    async def folder(self, path: str, ctx: JobContext, source: Source | None = None) -> AsyncIterator["LocalFolder"]:
        """Stage a folder that replaces nothing, an empty folder, or what we published at `path` before."""
        if self._log is None:
            raise ValueError(f"{path} can't be published: nothing here records whose a folder is")
        held = ExitStack()
        try:
            staging, destination = await in_thread(self._staging, held, self._located(path), ctx)
            folder = LocalFolder(staging, destination, self._log, ctx)
            await folder.refuse_foreign()
            if source:
                await in_thread(destination.refuse_holding, source.fd)
            yield folder
        finally:
            await on_disk(ctx, TIDIES, held.close)

    async def published(self, path: str) -> Mapping[str, Any] | None:
        """The manifest of the folder that stands there, if we published it."""
        async with self._our_folder(self._located(path)) as found:
            return found[1] if found else None

    async def sweep(self, replaced: Replaced) -> None:
        """Remove what was replaced, but for what has been published again since, and from nobody else's folder."""
        with suppress(PathRefused):  # of a root that is none any more
            async with self._our_folder(self._roots.locate(replaced.path)) as found:
                if found:
                    folder, manifest = found
                    await in_thread(remove_replaced, self._opener, folder, replaced.files, manifest.get(FILES))

    @asynccontextmanager
    async def _our_folder(self, place: RootedPath) -> AsyncIterator[tuple[int, Mapping[str, Any]] | None]:
        """A folder that we published, open, and its manifest."""
        held = ExitStack()
        try:
            folder = await in_thread(self._open_folder, held, place)
            standing = Standing() if folder is None else await in_thread(look_at, folder)
            ours = self._log is not None and await self._log.owns(place.key, standing)
            yield (folder, standing.manifest) if ours and folder is not None and standing.manifest else None
        finally:
            await in_thread(held.close)

    def _located(self, path: str) -> RootedPath:
        try:
            return self._roots.locate(path)
        except PathRefused as refusal:
            raise Deterministic(str(refusal), type="outside_roots") from None

    def _staging(self, held: ExitStack, place: RootedPath, ctx: JobContext) -> tuple[StagingFolder, Destination]:
        root = self._open[place.root]
        refuse_full(root, place.root)
        with output_errors(place.path, place.root):
            destination = Destination(held, self._opener, root, place)
            staging = StagingFolder(held, self._opener, root, place.root, f"{ctx.job_id}-{ctx.epoch}")
        destination.refuse_other_file_system(staging.folder)
        return staging, destination

    def _open_folder(self, held: ExitStack, place: RootedPath) -> int | None:
        try:
            folder = self._opener.open(self._open[place.root], place.names, os.O_RDONLY | os.O_DIRECTORY, links=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, *ESCAPES):
                return None
            raise
        held.callback(os.close, folder)
        return folder

    def _refuse_itself(self, place: RootedPath, source: Source) -> None:
        """Raise when a path leads to the very input: through links to folders, say, which a name can't tell."""
        try:
            handle = self._opener.open(self._open[place.root], place.names, os.O_PATH, links=True)
        except OSError:
            return
        try:
            if os.path.samestat(os.fstat(handle), os.fstat(source.fd)):
                raise Deterministic(f"{place.path} is the input itself; name another file", type="output_is_input")
        finally:
            os.close(handle)

    def _open_source(self, held: ExitStack, place: RootedPath) -> Source:
        try:
            handle = self._opener.open(self._open[place.root], place.names, os.O_PATH, links=True)
            held.callback(os.close, handle)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Deterministic(f"{place.path} is not a file", type="not_a_file")
            fd = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _explained(error, place) from error
        held.callback(os.close, fd)
        found = os.fstat(fd)
        return Source(place.names[-1], Path(f"/proc/self/fd/{fd}"), fd, found.st_size, _identity(found))

    def _identity(self, place: RootedPath) -> str | None:
        try:
            handle = self._opener.open(self._open[place.root], place.names, os.O_PATH, links=True)
        except OSError:
            return None
        try:
            return _identity(os.fstat(handle))
        finally:
            os.close(handle)


class LocalFile:
    """A file in the making, beneath its root."""

    def __init__(self, staging: StagingFolder, destination: Destination, ctx: JobContext) -> None:
        self._name = f"output{safe_suffix(destination.name)}"
        self._ctx = ctx
        self._staging = staging
        self._destination = destination

    @property
    def path(self) -> Path:
        """Where to write it: a path of plain characters, through the descriptor of its folder."""
        return self._staging.path / self._name

    @property
    def fds(self) -> Sequence[int]:
        """The folder's descriptor."""
        return (self._staging.folder,)

    async def publish(self) -> int:
        """Fsync and rename into place; the size in bytes."""
        with output_errors(self._destination.path, self._staging.root):
            return await on_disk(self._ctx, PUBLISHES, self._staging.publish_file, self._name, self._destination)


class LocalFolder:
    """A folder in the making, beneath its root, where it is swapped as a whole."""

    inner = ""

    def __init__(self, staging: StagingFolder, destination: Destination, log: FolderLog, ctx: JobContext) -> None:
        self._ctx = ctx
        self._staging = staging
        self._destination = destination
        self._log = log

    @property
    def path(self) -> Path:
        """Where to write: an empty folder, through its descriptor."""
        return self._staging.path

    @property
    def fds(self) -> Sequence[int]:
        """The folder's descriptor."""
        return (self._staging.folder,)

    def at(self, name: str) -> str:
        """The absolute path that a relative name will have."""
        return str(Path(self._destination.path) / name)

    async def published(self) -> Mapping[str, Any] | None:
        """The manifest of what already stands at the real name, if we made it."""
        standing = await in_thread(self._destination.look)
        return standing.manifest if await self._log.owns(self._destination.key, standing) else None

    async def holds(self, files: Mapping[str, object]) -> bool:
        """Whether files of these relative names and sizes stand there."""
        return await on_disk(self._ctx, LOOKS, self._destination.holds, files)

    async def refuse_foreign(self) -> Standing:
        """What stands there, unless we may not replace it."""
        standing = await in_thread(self._destination.look)
        if standing.kind in ("nothing", "empty") or await self._log.owns(self._destination.key, standing):
            return standing
        raise self._destination.foreign()

    async def publish(self, manifest: Mapping[str, object]) -> None:
        """Write manifest.json, fsync, swap into place what is then known for ours."""
        staging, destination = self._staging, self._destination
        standing = await self.refuse_foreign()
        with output_errors(destination.path, staging.root):
            made = await on_disk(self._ctx, PUBLISHES, staging.finish_folder, manifest, destination, standing)
        folder = await self._log.publishing(destination.key, made, self._ctx)
        with output_errors(destination.path, staging.root):
            await on_disk(self._ctx, PUBLISHES, staging.publish_folder, destination, standing)
        await self._log.published(folder, made.kept)


def safe_suffix(name: str) -> str:
    """The suffix of a name, if programs can be trusted with it."""
    suffix = Path(name).suffix
    return suffix if SAFE_SUFFIX.fullmatch(suffix) else ""


def _identity(found: os.stat_result) -> str:
    return "-".join(f"{part:x}" for part in (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))


def _explained(error: OSError, place: RootedPath) -> Exception:
    """What an input that can't be opened means for the job."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Deterministic(f"{place.path} does not exist", type="source_missing")
    if error.errno in ESCAPES:
        told = f"{place.path} leads out of {place.root} by a symbolic link, or by an absolute one"
        return Deterministic(told, type="outside_roots")
    if error.errno in DENIED:
        return Deterministic(f"no permission to read {place.path}", type="permission_denied")
    return error
