import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from viceversa.files import cache_folder, locked, replacing, replacing_folder, sweep


def test_the_new_content_replaces_the_old_once_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, done = tmp_path / "deep" / "er" / "a.txt", list[str]()
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    for text in ("old", "new"):
        with replacing(path) as temporary:
            assert temporary != path
            assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
            temporary.write_text(text)
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["a.txt"]
    assert done == ["fsync", "replace", "fsync"] * 2  # the last one is of the folder


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            assert path.read_text() == "old"
            raise RuntimeError("power is gone")

    with pytest.raises(RuntimeError, match="power is gone"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    keep = tmp_path / "deep" / "keep.txt"
    with replacing(keep) as temporary:
        temporary.write_text("good")
        leftover = temporary.with_name(temporary.name.replace(str(os.getpid()), "1"))
        leftover.write_text("half")
    sweep(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [keep]


def raise_as_torch_does(path: Path) -> None:
    path.write_text("half")
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904  (the context is all that torch leaves)


def raise_as_safetensors_does(path: Path) -> None:
    path.write_text("half")
    raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("write", [raise_as_torch_does, raise_as_safetensors_does])
def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "weights.pt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left") as failure, replacing(path) as temporary:
        write(temporary)
    assert failure.value.errno == errno.ENOSPC
    assert failure.value.filename == str(path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_folder_appears_at_once_and_whole(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out[1]"
    with replacing_folder(out) as partial:
        (partial / "a.txt").write_text("a")
        assert not out.exists()
        assert partial.name.startswith(".")
    assert os.listdir(out.parent) == ["out[1]"]
    assert os.listdir(out) == ["a.txt"]


def test_a_folder_that_fails_or_was_killed_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out[1]"

    def fail() -> None:
        with replacing_folder(out) as partial:
            (partial / "a.txt").write_text("a")
            raise RuntimeError("power is gone")

    with pytest.raises(RuntimeError, match="power is gone"):
        fail()
    assert os.listdir(tmp_path) == []
    (tmp_path / ".out[1].1.partial").mkdir()
    (tmp_path / ".out[1].1.partial" / "half.txt").write_text("half")
    (tmp_path / ".other.1.partial").mkdir()
    with replacing_folder(out):
        pass
    assert sorted(os.listdir(tmp_path)) == [".other.1.partial", "out[1]"]


def test_a_folder_with_something_in_it_is_only_replaced_when_told(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="not empty"), replacing_folder(out):
        raise AssertionError
    with replacing_folder(out, overwrite=True) as partial:
        (partial / "a.txt").write_text("a")
        assert os.listdir(out) == ["deep"]
    assert os.listdir(out) == ["a.txt"]
    assert os.listdir(tmp_path) == ["out"]
    with pytest.raises(FileExistsError, match="a file is there"), replacing_folder(out / "a.txt", overwrite=True):
        raise AssertionError
    monkeypatch.chdir(out)
    with pytest.raises(FileExistsError, match="working folder"), replacing_folder(tmp_path, overwrite=True):
        raise AssertionError


def test_without_a_cache_nothing_is_stored_and_nothing_else_fails(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VICEVERSA_CACHE", "/proc/self/cache")  # where nothing can be made, not even by root
    assert cache_folder() == Path("/proc/self/cache")
    with pytest.raises(OSError, match="VICEVERSA_CACHE=FOLDER"):
        cache_folder(store=True)
    with locked(tmp_path):
        pass
    monkeypatch.delenv("VICEVERSA_CACHE")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)  # a user without a name
    with pytest.raises(OSError, match="VICEVERSA_CACHE=FOLDER"):
        cache_folder()
    with locked(tmp_path):
        pass
