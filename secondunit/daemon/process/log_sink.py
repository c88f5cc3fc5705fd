"""Log sink: lines go to a descriptor that may be full, closed, hung or gone; then lines are lost, and no time is.

Nothing here waits. What the reader does not take is kept up to a bound; beyond it lines are lost and counted, and once
they are taken again the number is told among them.
"""

import errno
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

MOST_WAITING = 1 << 20
AT_ONCE = select.PIPE_BUF  # poll promises room for so much in a pipe, and no more
LOOK_AGAIN = 0.01
STDERR = 2


class LogSink:
    """Writes whole lines to `descriptor`; None stands for one that was closed when the process began.

    `lost` counts the lines that nobody will read; `tell(number)` gives the line that says so.
    """

    def __init__(self, descriptor: int | None, tell: Callable[[int], str] = lambda number: "") -> None:
        self.lost = 0
        self.tell = tell
        self._untold = 0
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.RLock()
        self._busy = False
        self._torn = False
        self._descriptor = descriptor
        self._own = None if descriptor is None else _own(descriptor)
        self._socket = None if descriptor is None else _socket(descriptor)
        self._take = _taker(descriptor, self._own, self._socket)

    @property
    def losing(self) -> bool:
        """Whether lines are being lost now."""
        return self._untold > 0

    @property
    def waiting(self) -> bool:
        """Whether lines wait for the reader."""
        return bool(self._waiting)

    def fileno(self) -> int:
        """For those who write past this one, as faulthandler does."""
        return STDERR if self._own is None else self._own

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, text: str) -> None:
        """Write lines, or keep them for later, or lose them."""
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._busy:  # a finaliser logs in the midst of what follows
                self._keep(data)
                return
            self._busy = True
            try:
                self._push()
                if self._waiting or self._untold or not self._begun(data):
                    self._keep(data)
            finally:
                self._busy = False

    def push(self) -> None:
        """Write what waits, as far as it is taken now."""
        with self._lock:
            if not self._busy:
                self._busy = True
                try:
                    self._push()
                finally:
                    self._busy = False

    def close(self, seconds: float) -> None:
        """Give a slow reader so long to take what waits; what comes after that is lost."""
        deadline = time.monotonic() + seconds
        self.push()
        while self._waiting and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
            self.push()
        self._take = _nobody
        if self._socket:
            self._socket.close()
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _push(self) -> None:
        while self._waiting:
            try:
                taken = self._take(self._waiting[0])
            except OSError:
                self._lose(b"".join(self._waiting))
                self._waiting.clear()
                self._size = 0
                break
            self._size -= taken
            if taken < len(self._waiting[0]):
                self._waiting[0] = self._waiting[0][taken:]
                self._torn = self._torn or taken > 0
                return
            self._waiting.popleft()
            self._torn = False
        if self._untold and self._begun((b"\n" if self._torn else b"") + self.tell(self._untold).encode()):
            self._untold = 0

    def _begun(self, data: bytes) -> bool:
        """Whether lines are written, perhaps with their rest first in the row; OSError is False too."""
        try:
            taken = self._take(data)
        except OSError:
            return False
        if taken == 0:
            return False
        self._torn = taken < len(data)
        if self._torn:
            self._waiting.append(data[taken:])
            self._size += len(data) - taken
        return True

    def _keep(self, data: bytes) -> None:
        if self._untold or self._size + len(data) > MOST_WAITING:
            self._lose(data)
        else:
            self._waiting.append(data)
            self._size += len(data)

    def _lose(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self.lost += lines
        self._untold += lines


def _own(descriptor: int) -> int | None:
    """The same pipe or terminal, opened once more so as never to block: who shares the first one keeps it as it is."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
        return None
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None


def _socket(descriptor: int) -> socket.socket | None:
    return socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else None


def _taker(descriptor: int | None, own: int | None, stream: socket.socket | None) -> Callable[[bytes], int]:
    """Writes some of the bytes and says how many, 0 for none just now; OSError when nobody takes them any more."""
    if descriptor is None:
        return _nobody
    if own is not None:
        return _unless_full(partial(os.write, own))
    if stream is not None:
        return _unless_full(partial(_sent, stream))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return partial(os.write, descriptor)
    return partial(_polled, descriptor)


def _unless_full(take: Callable[[bytes], int]) -> Callable[[bytes], int]:
    def taken(data: bytes) -> int:
        try:
            return take(data)
        except BlockingIOError:
            return 0

    return taken


def _sent(stream: socket.socket, data: bytes) -> int:
    return stream.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _polled(descriptor: int, data: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return os.write(descriptor, data[:AT_ONCE]) if poll.poll(0) else 0


def _nobody(_: bytes) -> int:
    raise BrokenPipeError(errno.EPIPE, "stderr was closed when the process began")
