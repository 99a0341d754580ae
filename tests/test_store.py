"""Files of compiled functions."""

import os

import pytest

from sknn_iitb._store import Stored


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
