"""Tail of an MPEG transport stream (ISO/IEC 13818-1): when the last PES packet of each track is shown. Blocking.

What the stream itself says, whatever a demuxer makes of it: where the codec changes within a track, its parser may take
all that follows for one packet.
"""

import os
from collections.abc import Collection, Iterator, Mapping

SYNC, PACKET = 0x47, 188
DISTANCES = (188, 192, 204)  # plain, with a time before each packet (M2TS), with parity behind
SURE = 8  # sync bytes in a row
WINDOW = 8 << 20
CLOCK, TURN = 90_000, (1 << 33) / 90_000  # ticks a second; seconds until the clock begins anew


def last_shown(fd: int, tracks: Collection[int], window: int = WINDOW) -> Mapping[int, float]:
    """Seconds on the stream's clock of the last PES packet of each of these tracks (PIDs) that is near the end."""
    data = os.pread(fd, window, max(0, os.fstat(fd).st_size - window))
    found = {}
    for packet in _packets(data):
        track = (packet[1] & 0x1F) << 8 | packet[2]
        if track in tracks and (shown := _shown(packet)) is not None:
            found[track] = shown
    return found


def beyond(shown: float, last: float) -> float:
    """How much later one moment of such a clock is than another, at most half a turn."""
    return (shown - last + TURN / 2) % TURN - TURN / 2


def _packets(data: bytes) -> Iterator[bytes]:
    ways = ((at, distance) for distance in DISTANCES for at in range(distance))
    for first, distance in ways:
        if data[first : first + SURE * distance : distance] == bytes([SYNC]) * SURE:
            for at in range(first, len(data) - PACKET + 1, distance):
                if data[at] == SYNC:
                    yield data[at : at + PACKET]
            return


def _shown(packet: bytes) -> float | None:
    """When the PES packet that begins in this one is shown, if one does and says it."""
    if not packet[1] & 0x40 or not packet[3] & 0x10 or packet[3] & 0xC0:
        return None
    begins = 5 + packet[4] if packet[3] & 0x20 else 4
    head = packet[begins : begins + 14]
    if len(head) < 14 or not head.startswith(b"\0\0\1") or not head[7] & 0x80:
        return None
    bits = int.from_bytes(head[9:], "big")
    return ((bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | (bits >> 1 & 0x7FFF)) / CLOCK
