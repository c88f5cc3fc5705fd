"""What of an s3:// URL can be judged by its text."""

import pytest

from secondunit.daemon.config.loader import BadConfig, load
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.router import Storage
from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.storage.s3.urls import Allowed
from secondunit.queue.errors import BadPayload
from secondunit.testing.folder_log import folder_log

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def storage(*allowed: str, environment: dict[str, str] = KEYS) -> Storage:
    return Storage(LocalFiles([]), Buckets(S3(environment), allowed, 1 << 20, folder_log()))


def refusal(files: Storage, path: str) -> str:
    with pytest.raises(BadPayload) as caught:
        files.check("inputPath", path)
    (error,) = caught.value.errors
    assert error.field == "inputPath"
    return error.message


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("s3://films/in/a.mp4", "films", "in/a.mp4"),
        ("s3://films/in/x/ü 映%20+&=?#'\".mp4", "films", "in/x/ü 映%20+&=?#'\".mp4"),
        ("s3://other/a", "other", "a"),
        ("s3://other/" + "ü" * 512, "other", "ü" * 512),
    ],
)
def test_what_lies_inside_media_buckets_is_taken_letter_by_letter(path: str, bucket: str, key: str) -> None:
    storage("films/in", "other").check("inputPath", path)
    spot = Allowed(["films/in", "other"]).locate(path)
    assert (spot.bucket, spot.key, str(spot)) == (bucket, key, path)


@pytest.mark.parametrize("path", ["s3://films/out/a", "s3://films/inside/a", "s3://films/in", "s3://elsewhere/in/a"])
def test_what_lies_outside_of_media_buckets_is_refused_by_whole_names(path: str) -> None:
    assert "MEDIA_BUCKETS" in refusal(storage("films/in/", "other"), path)
    assert "s3://films/in" in refusal(storage("films/in/", "other"), path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("s3://films", "no key"),
        ("s3://films/", "no key"),
        ("s3://", "bucket's name"),
        ("s3:///a", "bucket's name"),
        ("s3://Films/a", "bucket's name"),
        ("s3://fi..lms/a", "bucket's name"),
        ("s3://films/a/", "ends in a slash"),
        ("s3://films/a//b", "empty name"),
        ("s3://films//a", "empty name"),
        ("s3://films/a/../b", "'..'"),
        ("s3://films/./b", "'.'"),
        ("s3://films/a\nb", "control character"),
        ("s3://films/a\x7fb", "control character"),
        ("s3://films/" + "ü" * 513, "1024 bytes"),
        ("s3://films/\udc80", "UTF-8"),
    ],
)
def test_what_can_not_be_a_key_is_refused_and_told_why(path: str, why: str) -> None:
    assert why in refusal(storage("films"), path)


def test_without_media_buckets_the_refusal_says_so() -> None:
    assert "MEDIA_BUCKETS allows none" in refusal(storage(), "s3://films/a")


def test_without_credentials_a_job_is_refused_at_submit() -> None:
    assert "AWS_ACCESS_KEY_ID" in refusal(storage("films", environment={"AWS_REGION": "eu-west-1"}), "s3://films/a")


def test_what_is_not_in_a_bucket_is_a_local_path() -> None:
    for path in ("/films/a", "S3://films/a", "http://films/a", ""):
        assert "MEDIA_ROOTS" in refusal(storage("films"), path)


@pytest.mark.parametrize(
    ("folder", "inputs", "why"),
    [
        ("s3://films/in", ["/a"], "MEDIA_BUCKETS"),
        ("s3://other/deep", [], "contains s3://other/deep/er"),
        ("s3://films/in/a", ["s3://films/in/a/b.mp4"], "contains the input"),
        ("s3://films/in/" + "x" * 1000, [], "too long"),
    ],
)
def test_a_folder_is_no_entry_of_media_buckets_and_holds_no_input(folder: str, inputs: list[str], why: str) -> None:
    files = storage("films/in", "other/deep/er", "other")
    with pytest.raises(BadPayload, match="outputDir") as caught:
        files.check_folder("outputDir", folder, inputs)
    assert why in str(caught.value)


def test_a_folder_may_end_in_a_slash_and_lie_beside_its_input() -> None:
    files, beside = storage("films/in"), ["s3://films/in/ab.mp4", "/local", "s3://nowhere/a"]
    for folder in ("s3://films/in/a/", "s3://films/in/a"):
        files.check_folder("outputDir", folder, beside)
        assert Allowed(["films/in"]).locate_folder(folder, beside).key == "in/a"
        with pytest.raises(BadPayload, match=r"outputDir.*contains the input 's3://films/in/a/b\.mp4'"):
            files.check_folder("outputDir", folder, [*beside, "s3://films/in/a/b.mp4"])


@pytest.mark.parametrize("entry", ["s3://films/in", "Films", "f", "films//in", "films/../in", "films/./in", "/films"])
def test_a_malformed_media_bucket_ends_the_start(entry: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load({"MEDIA_BUCKETS": f"good,{entry}"})
    (fault,) = caught.value.faults
    assert fault.startswith("MEDIA_BUCKETS: ") and "allowed: bucket/prefix" in fault


def test_credentials_are_settings_that_are_never_shown() -> None:
    from secondunit.daemon.config.loader import shown

    config = load({"MEDIA_BUCKETS": "films/in/, other", **KEYS, "AWS_SESSION_TOKEN": "c", "AWS_ENDPOINT_URL_S3": "x"})
    assert config.settings.media_buckets == ("films/in/", "other") and not config.warnings
    assert config.settings.aws() == KEYS | {"AWS_SESSION_TOKEN": "c"}
    assert {"a", "b", "c"} <= config.settings.secrets()
    assert shown(config.settings)["AWS_SECRET_ACCESS_KEY"] == "***"
    assert not load({"AWS_REGION": "eu"}).settings.aws()


def test_an_output_over_its_own_input_is_refused() -> None:
    files = storage("films")
    with pytest.raises(BadPayload, match="is the input itself"):
        files.check("outputPath", "s3://films/a.png", ["s3://films/a.png"])
    files.check("outputPath", "s3://films/b.png", ["s3://films/a.png", "/media/b.png"])
