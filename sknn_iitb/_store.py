"""Files of compiled functions: each is whole, and is named after everything it depends on.

Any number of processes may share a directory. A file appears at once, by a rename, so nobody reads half of one, and all
processes would write the same contents under the same name.
"""

import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from importlib.machinery import all_suffixes
from importlib.resources import files
from pathlib import Path

__all__ = ["CHECKSUM", "IN_TREE", "SOURCES", "Stored", "failures"]

CHECKSUM = hashlib.sha256().digest_size
IN_TREE = Path(__file__).parent / "__pycache__"

failures = {}  # name of a file that could not be written -> the OSError


def _sources():
    """A digest of the package's modules, in whatever form they are imported from; None if none are found."""
    try:
        modules = list(_modules(files(__package__)))
    except Exception:  # importers of bundled applications may raise anything
        modules = []
    digest = hashlib.sha256()
    for name, content in modules:
        digest.update(name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16] if modules else None


def _modules(folder, prefix=""):
    """Name and contents of each module in a folder, which may be in a zip file: sources, or bytecode without them."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            if entry.name != IN_TREE.name:
                yield from _modules(entry, f"{name}/")
        elif name.endswith(tuple(all_suffixes())):
            yield name, entry.read_bytes()


# at import: what runs in this process are the sources of now, also where a file is edited before the first compilation
SOURCES = _sources()


class Stored:
    """The file of one compiled function.

    Parameters
    ----------
    directories : list of Path
        Where to look for it. It is written to the first that can be written.
    name : str
    """

    def __init__(self, directories, name):
        self._directories = directories
        self._name = name

    def load(self, rebuild):
        """Return ``rebuild(payload)``, or None if there is no valid file."""
        for directory in self._directories:
            try:
                content = (directory / self._name).read_bytes()
                checksum, payload = content[:CHECKSUM], content[CHECKSUM:]
                if self._checksum(directory, payload) == checksum:
                    return rebuild(payload)
            except Exception:  # missing, or not ours to read
                continue
        return None

    def save(self, payload):
        """Write the file where it can be written; otherwise the reason goes to `failures`."""
        for directory in self._directories:
            aside = directory / f"{uuid.uuid4().hex}.tmp"
            try:
                _make(directory)
                aside.write_bytes(self._checksum(directory, payload) + payload)
                os.replace(aside, directory / self._name)
            except OSError as error:
                failures[self._name] = error
            else:
                failures.pop(self._name, None)
                return
            finally:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)

    def _checksum(self, directory, payload):
        # machine code with a hole in it, or that of another function, would end the process
        return hashlib.sha256(f"{directory.name}/{self._name} ".encode() + payload).digest()


def _make(directory):
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _remove_stale(directory)


def _remove_stale(directory):
    """Files of other sources beside the package can never be read again; every edit would leave a set of them."""
    if directory.parent == IN_TREE:
        for other in IN_TREE.glob("sknn_iitb-*"):
            if not other.name.startswith(f"sknn_iitb-{SOURCES}"):
                shutil.rmtree(other, ignore_errors=True)
