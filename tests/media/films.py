"""The recipes of small films: what ffmpeg is told to make each of, and the number that a frame of some shows."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SOUND = "-f lavfi -i sine=f=440:r=44100:d=2"
BOTH = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"
TEST = "-f lavfi -i testsrc2=s=320x180:r=24:d=2"
# Fields drawn at different moments, as an old camera does.
WOVEN = "-f lavfi -i testsrc2=s=320x180:r=50:d=2 -vf tinterlace=interleave_top -flags +ilme+ildct"
CLIPS = {
    "plain.mp4": (TEST, SOUND, BOTH),
    "long.mp4": ("-f lavfi -i testsrc2=s=320x180:r=24:d=20 -f lavfi -i sine=d=20", BOTH, "-movflags faststart"),
    "keys.mp4": ("-f lavfi -i testsrc2=s=320x180:r=24:d=12", BOTH, "-g 12 -keyint_min 12 -sc_threshold 0"),
    "silent.mp4": (TEST, BOTH),
    "av1.mp4": (TEST, SOUND, "-c:v libsvtav1 -preset 12 -c:a aac"),
    "sound only.m4a": (SOUND, "-c:a aac"),
    "tiny.mp4": ("-f lavfi -i testsrc2=s=176x144:r=25:d=1", BOTH),
    "odd.mkv": ("-f lavfi -i testsrc=s=175x143:r=25:d=1 -pix_fmt yuv444p -c:v ffv1",),
    "squeezed.mp4": ("-f lavfi -i testsrc2=s=360x288:r=25:d=1 -vf setsar=64/45", BOTH),
    "portrait.mp4": ("-f lavfi -i testsrc2=s=1080x1920:r=24:d=1", BOTH),
    "varying.mp4": ("-f lavfi -i testsrc2=s=160x90:r=30:d=4 -vf select=lt(n\\,30)+not(mod(n\\,3)) -fps_mode vfr", BOTH),
    "quick.mp4": ("-f lavfi -i testsrc2=s=160x90:r=120:d=1", BOTH),
    "hdr.mkv": (
        "-f lavfi -i testsrc2=s=320x180:r=24:d=1 -vf",
        "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc",
        "-c:v ffv1",
    ),
    "hlg untagged.mkv": (
        "-f lavfi -i testsrc2=s=320x180:r=24:d=1 -vf format=yuv420p10le,setparams=color_trc=arib-std-b67",
        "-c:v ffv1",
    ),
    "woven.mpg": (WOVEN, "-c:v mpeg2video -q:v 3"),
    "rich.mkv": ("-f lavfi -i testsrc2=s=320x180:r=25:d=1 -pix_fmt yuv422p -c:v mpeg2video -q:v 3",),
    "black start.mp4": (
        "-f lavfi -i testsrc2=s=320x180:r=24:d=8 -vf drawbox=t=fill:color=black:enable=lt(t\\,3)",
        BOTH,
    ),
    "all black.mp4": ("-f lavfi -i color=black:s=320x180:r=24:d=2", BOTH),
}
# Each frame says its number in twelve bars of 16 pixels, the lowest bit on the left: white is 1. GOPs of 2 s.
CODED = (
    "-f lavfi -i color=black:s=192x48:r=25:d=14,geq=lum='255*mod(floor(N/pow(2,floor(X/16))),2)':cb=128:cr=128",
    "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0",
)
SINE = "-f lavfi -i sine=d=20 -c:a aac"
CLIPS |= {
    "coded.ts": (CODED[0], SINE.replace("20", "14"), CODED[1], "-bf 3"),
    "coded.mp4": (CODED[0], SINE, CODED[1], "-bf 7 -b_strategy 0"),
    "coded.mkv": (*CODED, "-bf 3 -output_ts_offset 100"),
    "open gop.ts": (*CODED, "-x264-params open-gop=1 -bf 7 -b_strategy 0 -output_ts_offset 90000"),
    "hevc.ts": (CODED[0], "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=150:scenecut=0"),
    "coded.mpg": (CODED[0], "-c:v mpeg2video -q:v 3 -g 12 -bf 2"),
    "coded.avi": (*CODED, "-bf 0"),
    "coded.flv": (*CODED, "-bf 2"),
    "slides.mp4": (CODED[0].replace("geq", "select='not(mod(n,100))',geq"), CODED[1], "-fps_mode vfr"),
}
RATE, BITS, BAR = 25, 12, 16  # of the coded films


def number_of(frame: "Image.Image") -> int:
    """The number that a frame of a coded film shows."""
    grey = frame.convert("L")
    middle = grey.crop((0, grey.height // 2, BITS * BAR, grey.height // 2 + 1)).tobytes()
    return sum(1 << bit for bit in range(BITS) if middle[BAR * bit + BAR // 2] > 128)
