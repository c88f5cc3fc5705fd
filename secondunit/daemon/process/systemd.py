"""Service notifications by the protocol of sd_notify(3); nothing where no systemd listens."""

import socket


class Notifier:
    """Sends states to the socket named by NOTIFY_SOCKET; a leading @ means an abstract one."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def send(self, **states: str | int) -> None:
        """Tell these states, such as READY=1; a listener that is gone or slow is not waited for."""
        if not self._address:
            return
        text = "\n".join(f"{name}={value}" for name, value in states.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(text.encode(), self._address)
            except OSError:
                return
