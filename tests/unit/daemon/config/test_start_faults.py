"""Folders that would keep the daemon from starting: told before anything is made, and not twice."""

from pathlib import Path

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.start_faults import LONGEST_SOCKET_PATH, folder_faults


def faults(folder: Path, *roots: Path, wrong: frozenset[str] = frozenset()) -> list[str]:
    return list(folder_faults(Settings.model_validate({"data_dir": folder, "media_roots": roots}), wrong))


def test_each_missing_root_is_named_but_not_the_one_that_the_start_makes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = faults(tmp_path / "data", tmp_path / "none", tmp_path / "file")
    assert [fault.partition(";")[0] for fault in found] == [
        f"MEDIA_ROOTS: {tmp_path / 'none'}: No such file or directory",
        f"MEDIA_ROOTS: {tmp_path / 'file'}: Not a directory",
    ]
    assert faults(tmp_path / "data") == []
    (tmp_path / "data").mkdir()
    assert faults(tmp_path / "data") == [], "its media is not made yet"


def test_a_data_dir_that_is_not_made_yet_lies_where_it_will(tmp_path: Path) -> None:
    [fault] = faults(tmp_path / "not" / "made", tmp_path)
    assert "contains DATA_DIR" in fault


def test_what_is_wrong_already_is_not_looked_at(tmp_path: Path) -> None:
    roots = (tmp_path, tmp_path / "none")
    assert len(faults(tmp_path / "data", *roots)) == 2
    assert faults(tmp_path / "data", *roots, wrong=frozenset({"media_roots"})) == []
    assert len(faults(tmp_path / "data", *roots, wrong=frozenset({"data_dir"}))) == 1
    assert len(faults(tmp_path / "data", *roots, wrong=frozenset({"queue_url"}))) == 1


def test_shared_roots_lie_beneath_media_roots_and_are_there(tmp_path: Path) -> None:
    (tmp_path / "media" / "shared").mkdir(parents=True)
    (tmp_path / "else").mkdir()

    def found(*shared: Path) -> list[str]:
        values = {"data_dir": tmp_path / "data", "media_roots": [tmp_path / "media"], "shared_roots": shared}
        return list(folder_faults(Settings.model_validate(values), ()))

    assert found(tmp_path / "media", tmp_path / "media" / "shared") == []
    assert found(tmp_path / "else", tmp_path / "media" / "none") == [
        f"SHARED_ROOTS: {tmp_path}/else is not beneath MEDIA_ROOTS; allowed: {tmp_path}/media, or folders in them",
        f"SHARED_ROOTS: {tmp_path}/media/none: No such file or directory; allowed: folders that exist (is it mounted?)",
    ]


def test_a_folder_whose_name_is_too_long_for_the_control_socket_is_told(tmp_path: Path) -> None:
    long = Path("/" + "x" * (LONGEST_SOCKET_PATH - len("/control.sock")))
    [fault] = faults(long)
    assert "too long for a socket" in fault and faults(Path(str(long)[:-1])) == []
