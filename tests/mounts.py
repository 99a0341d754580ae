"""File systems that are mounted for one test, where the kernel lets this user mount them."""

import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

_DISK = 'mount -t tmpfs -o "$1" none "$2"'
_READ_ONLY = 'for each; do mount --bind "$each" "$each"; mount -o remount,bind,ro "$each"; done'


@contextmanager
def disk(folder, limit):
    """Yield an empty file system in memory with this limit, such as "size=64k"."""
    folder.mkdir()
    with _mounted(_DISK, limit, folder) as root:
        yield root / folder.relative_to("/")


@contextmanager
def read_only(*folders):
    """Yield the folders as they are on a read-only file system."""
    with _mounted(_READ_ONLY, *folders) as root:
        yield [root / folder.relative_to("/") for folder in folders]


@contextmanager
def _mounted(script, *arguments):
    """Yield the root of a process that alone sees the mounts, which end with it."""
    if not _options():
        pytest.skip("this user cannot mount file systems")
    with _process(_options(), script, *arguments) as process:
        assert process.stdout.readline() == "mounted\n"
        yield Path(f"/proc/{process.pid}/root")


def _process(options, script, *arguments, **streams):
    """A process with the mounts of a script, until its input is closed."""
    command = ["unshare", *options, "sh", "-ec", f"{script}; echo mounted; read -r _", "sh", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **streams)


@cache
def _options():
    """Options of `unshare`: a namespace of users lets anyone mount, but some kernels reserve it to root or lack it."""
    for options in (("--mount", "--map-root-user"), ("--mount",)):
        try:
            with _process(options, f"set -- size=64k /tmp; {_DISK}", stderr=subprocess.DEVNULL) as process:
                if process.stdout.readline() == "mounted\n":
                    return options
        except FileNotFoundError:  # not Linux
            break
    return None
