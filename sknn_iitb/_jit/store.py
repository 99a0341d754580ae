"""The files of compiled functions: named after everything they depend on, and written atomically.

Any number of processes may share a directory. Files are renamed into place, so no process reads half a file, and all
processes write the same contents under the same name. Locks therefore only save work: a process that finds a function
locked waits for its file, and compiles the function itself if that takes too long. If a lock cannot be created or its
owner has died, a function is compiled more than once, but never wrongly.
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

__all__ = ["CHECKSUM", "INSTALLED", "IN_TREE", "SOURCES", "Stored", "failures"]

CHECKSUM = hashlib.sha256().digest_size
_PACKAGE = __package__.partition(".")[0]
_FOLDER = Path(__file__).parents[1]
INSTALLED = _FOLDER.parent.name in ("site-packages", "dist-packages")
# beside an installed package, because pip leaves such files behind, and a folder with its name could still be imported
IN_TREE = (_FOLDER.parent if INSTALLED else _FOLDER) / "__pycache__"
# a function takes at most three seconds to compile; on a machine five times slower, waiting does not pay off
_LONGEST_WAIT = 15.0  # seconds
_BETWEEN_LOOKS = 0.02

failures = {}  # name of a file that could not be written -> the OSError


def _sources():
    """A digest of the package's modules, in any form they are imported from; None if none are found."""
    try:
        modules = list(_modules(files(_PACKAGE)))
    except Exception:  # a bundled application's importer may raise anything
        modules = []
    digest = hashlib.sha256()
    for name, content in modules:
        digest.update(name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16] if modules else None


def _modules(folder, prefix=""):
    """Yield the name and contents of each module, source or bytecode, in a folder that may be inside a zip file."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            if entry.name != IN_TREE.name:
                yield from _modules(entry, f"{name}/")
        elif name.endswith(tuple(all_suffixes())):
            yield name, entry.read_bytes()


# computed at import: this process runs the sources of that moment, even if a file is edited before compilation
SOURCES = _sources()


class Stored:
    """The file of one compiled function.

    Parameters
    ----------
    directories : list of Path
        Where to look for it. It is written to the first writable one.
    name : str
    """

    patient = True  # until this process has waited in vain

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
            except Exception:  # missing or unreadable
                continue
        return None

    def load_or_lock(self, rebuild):
        """Like :meth:`load`, but wait for the file if another process is about to write it.

        If the result is None, the caller should write the file. In any case it must call :meth:`release`.
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
        # another process may have written it just before this one got the lock
        result = self.load(rebuild) if locked else None
        Stored.patient = result is not None or not waited
        return result

    def _try_to_lock(self):
        """Return whether this process got the lock; None if no lock can be created."""
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
        """Remove the lock if this process holds it."""
        if self._lock:
            with suppress(OSError):
                self._lock.unlink()
            self._lock = None

    def save(self, payload):
        """Write the file to the first writable directory; add the error to `failures` if there is none."""
        for directory in self._directories:
            temporary = directory / f"{uuid.uuid4().hex}.tmp"
            try:
                _make(directory)
                temporary.write_bytes(self._checksum(directory, payload) + payload)
                os.replace(temporary, directory / self._name)
            except OSError as error:
                failures[self._name] = error
            else:
                failures.pop(self._name, None)
                return
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _checksum(self, directory, payload):
        # damaged machine code, or that of another function, would crash the process
        return hashlib.sha256(f"{directory.name}/{self._name} ".encode() + payload).digest()


def _make(directory):
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _remove_stale(directory)


def _remove_stale(directory):
    """Remove files of earlier sources beside the package: they are never read again, and every edit leaves a set.

    A process that has imported the package before an edit removes nothing, because other files may be of later sources.
    """
    if directory.parent == IN_TREE and _sources() == SOURCES:
        for other in IN_TREE.glob("sknn_iitb-*"):
            if not other.name.startswith(f"sknn_iitb-{SOURCES}"):
                shutil.rmtree(other, ignore_errors=True)
