"""Files of compiled functions: whole or absent."""

import errno
import os

import pytest

from sknn_iitb import _store
from sknn_iitb._store import Stored


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing has failed yet."""
    monkeypatch.setattr(_store, "failures", {})


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


def _content(path):
    return sorted(each.name for each in path.iterdir())


def test_what_is_saved_is_loaded(directory):
    Stored([directory], "f.nbc").save(b"code")
    assert Stored([directory], "f.nbc").load(bytes) == b"code"
    assert _content(directory) == ["f.nbc"]


def test_a_file_is_not_valid_under_another_name(tmp_path, directory):
    stored = Stored([directory], "f.nbc")
    stored.save(b"code")
    os.rename(directory / "f.nbc", directory / "g.nbc")
    assert Stored([directory], "g.nbc").load(bytes) is None
    os.rename(directory / "g.nbc", directory / "f.nbc")
    assert stored.load(bytes) == b"code"
    # nor in the directory of other sources or of another processor
    os.rename(directory, tmp_path / "other")
    assert Stored([tmp_path / "other"], "f.nbc").load(bytes) is None


# --- where nothing can be written -------------------------------------------------------------------------------


def _full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _half_full(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    _full()


@pytest.fixture(params=["write", "rename"])
def full_disk(request, monkeypatch):
    """A disk that fills up while a file is written, or just before it gets its name."""
    if request.param == "write":
        monkeypatch.setattr(_store.Path, "write_bytes", _half_full)
    else:
        monkeypatch.setattr(_store.os, "replace", _full)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_left_as_it_was(directory):
    Stored([directory], "f.nbc").save(b"code")
    assert _content(directory) == []
    assert _store.failures["f.nbc"].errno == errno.ENOSPC


def test_an_interrupted_write_leaves_nothing(directory, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_store.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Stored([directory], "f.nbc").save(b"code")
    assert _content(directory) == []


def test_the_second_directory_is_for_what_the_first_does_not_take(tmp_path, directory):
    (tmp_path / "file").touch()
    stored = Stored([tmp_path / "file" / "cache", directory], "f.nbc")
    stored.save(b"code")
    assert _store.failures == {}
    assert _content(directory) == ["f.nbc"]
    assert stored.load(bytes) == b"code"
