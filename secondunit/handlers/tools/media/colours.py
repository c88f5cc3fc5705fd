"""Colour conversion: filters that bring pictures of any kind to BT.709 in limited range, and the tags that say so."""

from collections.abc import Mapping
from typing import Any

from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.media.probe import Video
from secondunit.queue.outcome import Deterministic

TAGS: Mapping[str, str] = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709"}
BY_SCALE = {"out_primaries": "bt709", "out_transfer": "bt709", "out_color_matrix": "bt709"}
UNKNOWN = ("", "unknown", "unspecified", "reserved")
RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8", "mono", "gray")
HD = 720  # lines; untagged pictures from here on are BT.709 in practice, and BT.601 below, as browsers have it too


def to_sdr(media: Media, picture: Any, video: Video) -> Any:
    """In the primaries and the range of an ordinary screen; for HDR without means "capability_missing"."""
    if video.hdr:
        return _tone_mapped(media, picture, video)
    return _narrowed(media, picture) if video.wide else picture


def scaled(picture: Any, video: Video, width: int, height: int, pix_fmt: str, **options: str) -> Any:
    """Scaled to square pixels of this format, in BT.709's matrix and limited range, and tagged so."""
    matrices = {"out_color_matrix": "bt709", "out_range": "tv"}
    if (source := _matrix(video)) is not None:
        matrices["in_color_matrix"] = source
    picture = picture.filter("scale", width, height, **options, **matrices).filter("setsar", 1)
    return picture.filter("format", pix_fmt).filter("setparams", range="tv", **TAGS)


def _matrix(video: Video) -> str | None:
    """The source's matrix, where its own tag does not say it: ffmpeg would take every untagged picture for BT.601."""
    if video.hdr or video.wide:
        return "bt709"  # by now
    if video.pix_fmt.startswith(RGB) or video.matrix not in UNKNOWN:
        return None
    return "bt709" if video.height >= HD else "bt601"


def _narrowed(media: Media, picture: Any) -> Any:
    """From the primaries of BT.2020 to those of BT.709, as far as this ffmpeg can."""
    if "zscale" in media.filters:
        source = {"pin": "2020", "min": "2020_ncl", "tin": "709"}
        return picture.filter("zscale", **source, p="709", m="709", t="709", r="tv")
    if media.scale_tonemaps:
        return picture.filter("scale", **BY_SCALE)
    return picture.filter("scale", in_color_matrix="bt2020", out_color_matrix="bt709")


def _tone_mapped(media: Media, picture: Any, video: Video) -> Any:
    if {"zscale", "tonemap"} <= media.filters:
        # Primaries and matrix are said for both sides: for a stream without them zscale finds no path.
        linear = {"tin": video.transfer, "pin": "2020", "min": "2020_ncl", "p": "2020", "m": "2020_ncl"}
        linear |= {"t": "linear", "npl": "100"}
        return (
            picture.filter("zscale", **linear)
            .filter("format", "gbrpf32le")
            .filter("zscale", p="709")
            .filter("tonemap", "hable", desat=0)
            .filter("zscale", t="709", m="709", r="tv")
        )
    if media.scale_tonemaps:
        return picture.filter("scale", **BY_SCALE, intent="perceptual")
    raise Deterministic(
        f"this is HDR video, and ffmpeg {media.version} here can't bring it to SDR; install one built with zimg,"
        " or version 7.1 or later",
        type="capability_missing",
    )
