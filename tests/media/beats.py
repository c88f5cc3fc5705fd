"""Films that flash and beep at the same moments, and the moments at which a finished stream does."""

import re
import subprocess
from array import array
from collections.abc import Sequence
from pathlib import Path

from secondunit.handlers.tools.media.ffmpeg import Media

BEATS = (1, 3, 6, 8)  # seconds of each ten: no shift makes one of them another
LENGTH, LOUD, BRIGHT = 0.2, 3000, 100
RATE, WINDOW, SILENT_WINDOWS = 48000, 240, 20
MOMENT, BRIGHTNESS = re.compile(r"pts_time:(\S+)"), re.compile(r"YAVG=(\S+)")
FIRST = re.compile(r"ashowinfo.* n:0 .*?pts_time:(\S+)")


def run(argv: Sequence[object], folder: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([str(word) for word in argv], cwd=folder, check=True, timeout=50, capture_output=True)


def film(
    media: Media, path: Path, seconds: float, options: str, *, at: float = 0, sound: str = "mono", rate: int = RATE
) -> Path:
    """So many seconds of a film that began `at` seconds before, its sound of this layout and rate."""
    on = "+".join(f"gte(mod(t+{at},10),{beat})*lt(mod(t+{at},10),{beat + LENGTH})" for beat in BEATS).replace(
        ",", r"\,"
    )
    picture = f"color=black:s=160x90:r=25:d={seconds},drawbox=t=fill:color=white:enable={on}"
    tone = f"aevalsrc=exprs=sin(2*PI*1000*t)*0.5*({on}):s={rate}:d={seconds},aformat=channel_layouts={sound}"
    argv = [media.ffmpeg, "-y", "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone]
    run(
        [*argv, *"-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -bf 2 -c:a aac".split(), *options.split(), path]
    )
    return path


def joined(path: Path, *parts: Path) -> Path:
    """Transport streams one behind the other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes(media: Media, playlist: str) -> list[float]:
    """When the picture turns white, in seconds."""
    look = "scale=16:16,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"
    argv = [media.ffmpeg, "-v", "error", "-i", playlist, "-vf", look, "-fps_mode", "passthrough", "-f", "null", "-"]
    said = run(argv).stdout.decode()
    bright = [float(average) > BRIGHT for average in BRIGHTNESS.findall(said)]
    moments = [float(moment) for moment in MOMENT.findall(said)]
    return [at for at, now, before in zip(moments, bright, [False, *bright], strict=False) if now and not before]


def beeps(media: Media, playlist: str) -> list[float]:
    """When a tone begins, in seconds."""
    argv = [media.ffmpeg, "-v", "info", "-copyts", "-i", playlist, "-af", "ashowinfo", "-ac", 1, "-ar", RATE]
    done = run([*argv, "-f", "s16le", "-"])
    begin = FIRST.search(done.stderr.decode())
    assert begin
    samples = array("h", done.stdout)
    found, silent = [], SILENT_WINDOWS
    for at in range(0, len(samples), WINDOW):
        loud = max(samples[at : at + WINDOW]) > LOUD
        if loud and silent >= SILENT_WINDOWS:
            found.append(float(begin[1]) + at / RATE)
        silent = 0 if loud else silent + 1
    return found
