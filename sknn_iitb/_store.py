"""Files of compiled functions: each is whole, is named after everything it depends on, and is written by one process.

Any number of processes may share a directory. A file appears at once, by a rename, so nobody reads half of one, and all
processes would write the same contents under the same name. Locks therefore only save work: a process that finds
another one compiling a function waits for its file, and compiles the function itself if that takes too long. Wherever a
lock cannot be made or has lost its owner, no process does anything wrong, only something twice.
"""

import hashlib
import os
import shutil
import time
import uuid
from contextlib import suppress
from importlib.machinery import all_suffixes
from importlib.resources import files
from pathlib import Path

__all__ = ["CHECKSUM", "IN_TREE", "SOURCES", "Stored", "failures"]

CHECKSUM = hashlib.sha256().digest_size
IN_TREE = Path(__file__).parent / "__pycache__"
# no function takes so long to compile, except on a machine so busy that waiting does not pay
_LONGEST_WAIT = 15.0  # seconds
_BETWEEN_LOOKS = 0.02

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

    patient = True  # whether waiting for other processes has paid so far in this one

    def __init__(self, directories, name):
        self._directories = directories
        self._name = name
        self._lock = None

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

    def load_or_lock(self, rebuild):
        """Like :meth:`load`, but where another process is about to write the file, wait for that.

        After None the caller should write the file; it must call :meth:`release` in any case.
        """
        if not Stored.patient:
            return None
        end = time.monotonic() + _LONGEST_WAIT
        waited = False
        while (locked := self._try_to_lock()) is False and time.monotonic() < end:
            waited = True
            time.sleep(_BETWEEN_LOOKS)
            if (result := self.load(rebuild)) is not None:
                return result
        # it may have been written just before the lock was ours
        result = self.load(rebuild) if locked else None
        Stored.patient = result is not None or not waited
        return result

    def _try_to_lock(self):
        """Whether the lock is ours now; None if none can be made."""
        for directory in self._directories:
            lock = directory / f"{self._name}.lock"
            try:
                _make(directory)
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                if not directory.is_dir():
                    continue
                with suppress(OSError):
                    if time.time() - lock.stat().st_mtime > _LONGEST_WAIT:  # its owner has died
                        lock.unlink()
                return False
            except OSError:
                continue
            else:
                self._lock = lock
                return True
        return None

    def release(self):
        """Give the lock back, if it is ours."""
        if self._lock:
            with suppress(OSError):
                self._lock.unlink()
            self._lock = None

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
