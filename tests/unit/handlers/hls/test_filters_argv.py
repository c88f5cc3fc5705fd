"""The exact command lines that ffmpeg gets."""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.hls.encode import hls_argv, sound_argv
from secondunit.handlers.hls.plan import Passthrough, SegmentType, ladder, plan
from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media
from secondunit.handlers.tools.media.graphs import EXACT, Approach, Shot, frame_argv
from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video
from secondunit.queue.outcome import Deterministic

ZIMG = Media("/x/ffmpeg", "/x/ffprobe", "5.1", frozenset(), frozenset({"zscale", "tonemap"}), False)
NEW = Media("/x/ffmpeg", "/x/ffprobe", "8.1", frozenset(), frozenset({"tonemap"}), True)
OLD = Media("/x/ffmpeg", "/x/ffprobe", "5.1", frozenset(), frozenset({"tonemap"}), False)
VIDEO = Video(0, "h264", 1280, 720, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "bt709", "bt709", False)
TAGGED_VIDEO = replace(VIDEO, primaries="bt709", range="tv")
INPUT = (
    f"-format_whitelist {MEDIA_FORMATS} -max_pixels 67108864 -protocol_whitelist file -t 86400 -i file:/proc/self/fd/9"
)

BT709 = "out_color_matrix=bt709:out_range=tv"
TELL = r"if(isnan(prev_t)+gt(t-prev_t\,2)\,1+0*print(if(isnan(prev_t)\,-1\,prev_t)+{0}\,24)+0*print(t+{0}\,24)\,1)"
TOLD = f"[0:0]select={TELL.format(0)}[s0];"
TAGGED = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


def hls(
    video: Video = VIDEO,
    qualities: Sequence[str] = ("720p", "480p"),
    segment_type: SegmentType = "fmp4",
    audio: Audio | None = None,
    media: Media = ZIMG,
) -> list[str]:
    info = MediaInfo("mov", 60.0, False, False, video, audio)
    return hls_argv(media, "file:/proc/self/fd/9", plan(info, video, qualities, segment_type), 7)


def plain(text: str) -> str:
    """The same without the filter that tells of what was not decoded, which comes before all others."""
    numbered = re.sub(r"\[s(\d+)\]", lambda label: f"[s{int(label[1]) - 1}]", text.replace(TOLD, ""))
    return numbered.replace("[s-1]", "[0:0]") if TOLD in text else text


def graph(argv: Any) -> Any:
    return plain(argv[argv.index("-filter_complex") + 1])


def test_one_ffmpeg_decodes_once_and_writes_every_playlist() -> None:
    assert plain(" ".join(hls(audio=Audio(1, "aac", 6)))) == (
        "/x/ffmpeg -hide_banner -nostdin -v warning -max_error_rate 1 -nostats -progress pipe:1 "
        f"{INPUT} -filter_complex "
        f"[0:0]fps=fps=25/1[s0];[s0]scale=1280:720:{BT709}[s1];[s1]setsar=1[s2];[s2]format=yuv420p[s3];[s3]{TAGGED}[s4];"
        "[s4]split=2[s5][s6];[s6]scale=854:480[s7];[s7]setsar=1[s8] "
        "-map [s5] -map [s8] -f hls -bf 0 -bufsize:v:0 5600k -bufsize:v:1 2800k "
        "-c:v libx264 -color_primaries bt709 -color_range tv -color_trc bt709 -colorspace bt709 "
        "-crf 23 -dn -force_key_frames expr:gte(t,n_forced*2) -hls_flags independent_segments "
        "-hls_playlist_type vod -hls_segment_filename %v/%05d.m4s "
        "-hls_segment_options movflags=+frag_keyframe:min_frag_duration=1000000 -hls_segment_type fmp4 -hls_time 6 "
        "-map_chapters -1 -map_metadata -1 -max_muxing_queue_size 4096 -maxrate:v:0 2800k -maxrate:v:1 1400k "
        "-preset veryfast -profile:v high -sc_threshold 0 -sn -var_stream_map v:0,name:720p v:1,name:480p "
        "%v/index.m3u8 -map 0:1 -f nut "
        "-af aselect=if(isnan(prev_t)\\,lt(t\\,1)\\,lt(t-prev_t\\,0.25))+gte(samples_n\\,sample_rate/10),"
        f"aselect={TELL.format(1_000_000_000)},"
        "aresample=48000,aformat=sample_fmts=s16:channel_layouts=stereo -c:a pcm_s16le pipe:7 -y"
    )


def test_the_sound_is_laid_in_its_place_by_a_second_one() -> None:
    info = MediaInfo("mov", 60.0, False, False, VIDEO, Audio(1, "aac", 6))
    assert " ".join(sound_argv(ZIMG, 8, plan(info, VIDEO, ["720p"], "ts"))) == (
        "/x/ffmpeg -hide_banner -nostdin -v warning -max_error_rate 1 -nostats -progress pipe:1 "
        "-copyts -format_whitelist nut -protocol_whitelist pipe -i pipe:8 "
        "-filter_complex [0:0]aresample=async=1:first_pts=0:min_hard_comp=0.03[s0];"
        "[s0]atrim=start_sample=1024[s1] -map [s1] -f hls "
        "-ac 2 -ar 48000 -b:a 128k -c:a aac -dn -hls_flags independent_segments -hls_playlist_type vod "
        "-hls_segment_filename %v/%05d.ts -hls_segment_type mpegts -hls_time 6 -map_chapters -1 -map_metadata -1 "
        "-max_muxing_queue_size 4096 -profile:a aac_low -sn -var_stream_map a:0,name:audio %v/index.m3u8 -y"
    )


def copying(copied: Passthrough, segment_type: SegmentType = "fmp4", **options: Any) -> str:
    info = MediaInfo("mov", 60.0, False, False, VIDEO, Audio(1, "aac", 2))
    todo = replace(plan(info, VIDEO, ["720p", "480p"], segment_type), copied=copied, **options)
    return " ".join(hls_argv(ZIMG, "file:/proc/self/fd/9", todo, None))


def test_beside_a_copied_rung_the_others_get_its_key_frames_and_times() -> None:
    assert plain(copying(Passthrough(True, True, 0.08, True))) == (
        "/x/ffmpeg -hide_banner -nostdin -v warning -max_error_rate 1 -nostats -progress pipe:1 "
        f"{INPUT} -filter_complex "
        f"[0:0]scale=854:480:{BT709}[s0];[s0]setsar=1[s1];[s1]format=yuv420p[s2];[s2]{TAGGED}[s3] "
        "-map 0:0 -map [s3] -f hls -bf 0 -bsf:v:0 h264_metadata=colour_primaries=1:transfer_characteristics=1:"
        "matrix_coefficients=1:video_full_range_flag=0 -bufsize:v:1 2800k -c:v:0 copy -c:v:1 libx264 "
        "-color_primaries bt709 -color_range tv -color_trc bt709 -colorspace bt709 "
        "-crf 23 -dn -enc_time_base:v:1 1:90000 -force_key_frames source "
        "-fps_mode:v:1 passthrough -g 100000 -hls_flags independent_segments -hls_playlist_type vod "
        "-hls_segment_filename %v/%05d.m4s -hls_segment_options "
        "movflags=+frag_keyframe+negative_cts_offsets:use_editlist=0:min_frag_duration=1000000 "
        "-hls_segment_type fmp4 -hls_time 6 -map_chapters -1 -map_metadata -1 -max_muxing_queue_size 4096 "
        "-maxrate:v:1 1400k -output_ts_offset -0.080000 -preset veryfast -profile:v:1 high -sc_threshold 0 -sn "
        "-var_stream_map v:0,name:720p v:1,name:480p %v/index.m3u8 "
        "-map 0:1 -f hls -bsf:a aac_adtstoasc -c:a copy -copypriorss:a 0 -dn -hls_flags independent_segments "
        "-hls_playlist_type vod -hls_segment_filename %v/%05d.m4s -hls_segment_type fmp4 -hls_time 6 "
        "-map_chapters -1 -map_metadata -1 -max_muxing_queue_size 4096 -sn -ss 0.078000 "
        "-var_stream_map a:0,name:audio %v/index.m3u8 -map 0:1 -f null -c:a pcm_s16le - -y"
    )


def test_a_copied_rung_alone_needs_no_encoder() -> None:
    argv = copying(
        Passthrough(picture=True),
        "ts",
        renditions=ladder(Fraction(1280), Fraction(720), [720], Fraction(25)),
        audio=None,
        video=TAGGED_VIDEO,
    )
    assert "-map 0:0 " in argv and "-c:v:0 copy" in argv
    encoders = ("filter_complex", "libx264", "-crf", "-c:a", "force_key_frames", "bsf", "segment_options", "ts_offset")
    assert not any(word in argv for word in encoders)


def test_encoded_sound_begins_with_a_copied_picture() -> None:
    info = MediaInfo("mov", 60.0, False, False, VIDEO, Audio(1, "ac3", 6))
    todo = replace(plan(info, VIDEO, ["720p"], "fmp4"), copied=Passthrough(picture=True, begin=0.08))
    assert "-copyts -format_whitelist nut -itsoffset -0.080000 -protocol" in " ".join(sound_argv(ZIMG, 8, todo))


def test_what_decoders_give_nothing_of_is_told_before_anything_hides_it() -> None:
    assert all(TOLD in " ".join(argv) for argv in (hls(), copying(Passthrough(picture=True)).split(" ")))


def test_a_single_silent_rendition_needs_no_split_and_no_group() -> None:
    argv = hls(qualities=["720p"], segment_type="ts")
    assert graph(argv) == (
        f"[0:0]fps=fps=25/1[s0];[s0]scale=1280:720:{BT709}[s1];[s1]setsar=1[s2];[s2]format=yuv420p[s3];[s3]{TAGGED}[s4]"
    )
    assert argv[argv.index("-var_stream_map") + 1] == "v:0,name:720p"
    assert argv[argv.index("-hls_segment_type") + 1] == "mpegts"
    assert "-c:a" not in argv and "pipe:7" not in argv and "%v/%05d.ts" in argv


def test_interlaced_pictures_of_varying_rate_are_woven_apart_and_made_steady() -> None:
    video = replace(VIDEO, interlaced=True, average=Fraction(24000, 1001), nominal=Fraction(30))
    assert graph(hls(video, ["720p"])).startswith("[0:0]yadif[s0];[s0]fps=fps=24000/1001[s1];[s1]scale=1280:720")


def test_hdr_goes_through_zimg_where_it_is_built_in() -> None:
    video = replace(VIDEO, transfer="arib-std-b67")
    assert graph(hls(video, ["720p"])).startswith(
        "[0:0]zscale=m=2020_ncl:min=2020_ncl:npl=100:p=2020:pin=2020:t=linear:tin=arib-std-b67[s0];[s0]format=gbrpf32le[s1];"
        "[s1]zscale=p=709[s2];[s2]tonemap=hable:desat=0[s3];[s3]zscale=m=709:r=tv:t=709[s4];[s4]fps=fps=25/1[s5];[s5]scale=1280:720"
    )


def test_hdr_goes_through_the_scaler_of_a_newer_ffmpeg() -> None:
    video = replace(VIDEO, transfer="smpte2084")
    assert graph(hls(video, ["720p"], media=NEW)).startswith(
        "[0:0]scale=intent=perceptual:out_color_matrix=bt709:out_primaries=bt709:out_transfer=bt709[s0];"
    )


def test_hdr_that_nothing_here_can_convert_is_a_missing_capability() -> None:
    with pytest.raises(Deterministic) as refused:
        hls(replace(VIDEO, transfer="smpte2084"), media=OLD)
    assert refused.value.type == "capability_missing"


def test_a_frame_is_sought_before_the_input_is_opened_and_decoded_up_to() -> None:
    argv = frame_argv(ZIMG, "file:/proc/self/fd/9", VIDEO, Shot(571.0, 320, 180), Approach(570.5, 570.88), "frame.ppm")
    assert " ".join(argv) == (
        "/x/ffmpeg -hide_banner -nostdin -v warning -max_error_rate 1 -copyts "
        f"{INPUT.replace('-protocol', '-noaccurate_seek -protocol').replace('-t', '-ss 570.500 -start_at_zero -t')} "
        "-filter_complex "
        "[0:0]trim=end=571.001[s0];[s0]select=if(isnan(prev_selected_t)\\,1\\,gte(t\\,570.880))[s1];"
        f"[s1]scale=320:180:flags={EXACT}:{BT709}[s2];[s2]setsar=1[s3];[s3]format=yuv444p[s4];[s4]{TAGGED}[s5];"
        "[s5]signalstats[s6];[s6]settb=AVTB[s7];[s7]metadata=file=-:mode=print[s8];"
        f"[s8]scale=flags={EXACT}[s9];[s9]format=rgb24[s10] "
        "-map [s10] -f image2 -c:v ppm -fps_mode passthrough -update 1 frame.ppm -y"
    )


def test_the_first_frame_is_selected_and_not_sought() -> None:
    argv = frame_argv(ZIMG, "file:/proc/self/fd/9", VIDEO, Shot(None, 320, 180), Approach(), "frame.ppm")
    assert "-ss" not in argv and graph(argv).startswith("[0:0]select=eq(n\\,0)[s0]")


@pytest.mark.parametrize(
    ("at", "wanted"), [(None, "select=key["), (571.0, "select=if(isnan(prev_selected_t)\\,key\\,")]
)
def test_what_hevc_decodes_before_its_first_key_frame_is_no_picture(at: float | None, wanted: str) -> None:
    video = replace(VIDEO, codec="hevc")
    argv = frame_argv(ZIMG, "file:/proc/self/fd/9", video, Shot(at, 320, 180), Approach(570.5, 570.88), "frame.ppm")
    assert wanted in graph(argv)


@pytest.mark.parametrize(
    ("fields", "taken_for"),
    [
        ({"matrix": "unknown"}, "bt709"),
        ({"matrix": "unknown", "height": 480}, "bt601"),
        ({"matrix": "unknown", "pix_fmt": "bgr24"}, None),
        ({"matrix": "smpte170m"}, None),
        ({"matrix": "bt2020nc", "primaries": "bt2020"}, "bt709"),
        ({"matrix": "bt2020nc", "transfer": "smpte2084"}, "bt709"),
    ],
)
def test_a_picture_is_read_by_its_tag_or_by_its_size(fields: Any, taken_for: str | None) -> None:
    argv = frame_argv(ZIMG, "u", replace(VIDEO, **fields), Shot(0, 320, 180), Approach(), "f.ppm")
    found = re.findall(r"in_color_matrix=(\w+)", graph(argv))
    assert found == ([taken_for] if taken_for else [])


def test_the_primaries_of_bt2020_are_narrowed_by_what_is_there() -> None:
    video = replace(VIDEO, matrix="bt2020nc", primaries="bt2020")
    ways = [graph(hls(video, ["720p"], media=media)).split("[s0]")[0] for media in (ZIMG, NEW, OLD)]
    assert [way.removeprefix("[0:0]").split("=")[0] for way in ways] == ["zscale", "scale", "scale"]
    assert "out_primaries=bt709" in ways[1] and "in_color_matrix=bt2020" in ways[2]
