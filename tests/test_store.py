"""Files of compiled functions: complete or absent, and written by only one of the processes that need them."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sknn_iitb._jit import store
from sknn_iitb._jit.store import Stored


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Reset the state of the module: no failures, and waiting enabled."""
    monkeypatch.setattr(store, "failures", {})
    monkeypatch.setattr(Stored, "patient", True)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


def _content(path):
    return sorted(each.name for each in path.iterdir())


def test_saved_file_is_loaded(directory):
    Stored([directory], "f.nbc").save(b"code")
    assert Stored([directory], "f.nbc").load(bytes) == b"code"
    assert _content(directory) == ["f.nbc"]


def test_file_is_invalid_under_another_name(tmp_path, directory):
    stored = Stored([directory], "f.nbc")
    stored.save(b"code")
    os.rename(directory / "f.nbc", directory / "g.nbc")
    assert Stored([directory], "g.nbc").load(bytes) is None
    os.rename(directory / "g.nbc", directory / "f.nbc")
    assert stored.load(bytes) == b"code"
    # nor in the directory of different sources or of another processor
    os.rename(directory, tmp_path / "other")
    assert Stored([tmp_path / "other"], "f.nbc").load(bytes) is None


# --- failing writes ---------------------------------------------------------------------------------------------


def _full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _half_full(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    _full()


@pytest.fixture(params=["write", "rename"])
def full_disk(request, monkeypatch):
    """A disk that fills up while a file is written, or just before it is renamed."""
    if request.param == "write":
        monkeypatch.setattr(store.Path, "write_bytes", _half_full)
    else:
        monkeypatch.setattr(store.os, "replace", _full)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_leaves_no_file(directory):
    Stored([directory], "f.nbc").save(b"code")
    assert _content(directory) == []
    assert store.failures["f.nbc"].errno == errno.ENOSPC


def test_interrupted_write_leaves_no_file(directory, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Stored([directory], "f.nbc").save(b"code")
    assert _content(directory) == []


def test_second_directory_is_used_if_the_first_is_not_writable(tmp_path, directory):
    (tmp_path / "file").touch()
    stored = Stored([tmp_path / "file" / "cache", directory], "f.nbc")
    stored.save(b"code")
    assert store.failures == {}
    assert _content(directory) == ["f.nbc"]
    assert stored.load(bytes) == b"code"


# --- several processes ------------------------------------------------------------------------------------------


@pytest.fixture
def owner(directory):
    """The file in the process that compiles the function."""
    stored = Stored([directory], "f.nbc")
    assert stored.load_or_lock(bytes) is None
    assert _content(directory) == ["f.nbc.lock"]
    yield stored
    stored.release()
    assert not (directory / "f.nbc.lock").exists()


@pytest.fixture
def other(directory):
    """The file in another process that needs the function."""
    return Stored([directory], "f.nbc")


def test_other_processes_wait_for_the_file(owner, other, directory):
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(other.load_or_lock, bytes)
        time.sleep(0.1)
        assert not result.done()
        owner.save(b"code")
        assert result.result(10) == b"code"
    owner.release()
    other.release()
    assert _content(directory) == ["f.nbc"]
    assert Stored.patient


def test_file_written_in_the_meantime_is_loaded(owner, other):
    owner.save(b"code")
    owner.release()
    assert other.load_or_lock(bytes) == b"code"
    other.release()


def test_other_functions_are_not_waited_for(owner, directory):
    stored = Stored([directory], "g.nbc")
    assert stored.load_or_lock(bytes) is None
    stored.release()
    assert Stored.patient


def test_waiting_ends_for_good_if_the_owner_writes_nothing(owner, other, directory):
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(other.load_or_lock, bytes)
        time.sleep(0.1)
        owner.release()
        assert result.result(10) is None
    assert _content(directory) == ["f.nbc.lock"]
    assert not Stored.patient
    assert Stored([directory], "f.nbc").load_or_lock(bytes) is None
    other.release()


@pytest.mark.usefixtures("owner")
def test_waiting_is_limited(other, monkeypatch):
    monkeypatch.setattr(store, "_LONGEST_WAIT", 0.1)
    begin = time.monotonic()
    assert other.load_or_lock(bytes) is None
    assert 0.1 <= time.monotonic() - begin < 5
    assert not Stored.patient
    other.release()


@pytest.mark.usefixtures("owner")
def test_lock_of_a_dead_process_is_taken_over(other, directory):
    os.utime(directory / "f.nbc.lock", (time.time() - 3600,) * 2)
    begin = time.monotonic()
    assert other.load_or_lock(bytes) is None
    assert time.monotonic() - begin < 5
    assert _content(directory) == ["f.nbc.lock"]
    other.release()


@pytest.mark.usefixtures("owner")
def test_lock_from_the_future_does_not_block_forever(other, directory, monkeypatch):
    monkeypatch.setattr(store, "_LONGEST_WAIT", 0.1)
    os.utime(directory / "f.nbc.lock", (time.time() + 3600,) * 2)
    assert other.load_or_lock(bytes) is None
    other.release()


def test_no_waiting_without_a_writable_directory(tmp_path):
    (tmp_path / "file").touch()
    for directories in ([tmp_path / "file" / "cache"], [tmp_path / "file"], []):
        stored = Stored(directories, "f.nbc")
        assert stored.load_or_lock(bytes) is None
        stored.release()
    assert Stored.patient


@pytest.mark.parametrize("imported", ["earlier", "current"])
def test_only_a_process_of_the_current_sources_removes_folders(tmp_path, monkeypatch, imported):
    """A process that runs on after an edit does not remove what newer ones have stored."""
    monkeypatch.setattr(store, "IN_TREE", tmp_path)
    monkeypatch.setattr(store, "_sources", lambda: "current")
    monkeypatch.setattr(store, "SOURCES", imported)
    other = tmp_path / "sknn_iitb-another-target"
    Stored([other], "f.nbc").save(b"code")
    Stored([tmp_path / f"sknn_iitb-{imported}-target"], "f.nbc").save(b"code")
    assert other.exists() == (imported == "earlier")
    assert (tmp_path / f"sknn_iitb-{imported}-target" / "f.nbc").exists()
