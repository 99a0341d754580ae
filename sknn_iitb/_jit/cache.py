"""The on-disk cache of compiled functions, behind Numba's cache interface.

A file's path names everything its contents depend on (package sources, Numba, processor, options, function, family,
dtype), so a stale or foreign entry is never read. :mod:`sknn_iitb._jit.store` reads and writes the files. If nothing
can be written, functions are compiled in memory.
"""

import hashlib
import os
import pickle
import platform
import sys
from functools import cache
from pathlib import Path

import numba
import numpy as np
from llvmlite import __version__ as llvmlite_version
from llvmlite import binding as llvm
from llvmlite import ir
from numba.core import caching, compiler, config, serialize
from numba.misc.appdirs import AppDirs

from sknn_iitb._jit.patience import clock
from sknn_iitb._jit.store import IN_TREE, INSTALLED, SOURCES, Stored

__all__ = ["DiskCache", "cache_directory", "store_in_package"]


class DiskCache(caching._Cache):
    """Numba's cache interface to the file of one compiled function."""

    def __init__(self, name):
        self._stored = Stored(_directories(), f"{name}.nbc")

    @property
    def cache_path(self):
        return str(next(iter(_directories()), ""))

    def load_overload(self, sig, target_context):
        target_context.refresh()

        def rebuild(payload):
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))

        result = self._stored.load(rebuild)
        if result is None:
            clock().start(_announcement())
            result = self._stored.load_or_lock(rebuild)
        return result

    def save_overload(self, sig, data):
        self._stored.save(serialize.dumps(_without_intermediate_code(data._reduce())))

    def release(self):
        """Let processes that are waiting for the function continue."""
        self._stored.release()

    def enable(self):
        pass

    def disable(self):
        pass

    def flush(self):
        pass


def _without_intermediate_code(reduced):
    """Numba's data with the LLVM code reduced to the names of the functions.

    The code is for inlining into other functions, which never happens to ours once they are stored. Loading it took
    four times as long as everything else.
    """
    (name, kind, (machine_code, llvm_code)), descriptor, *rest = reduced
    defined = {function.name for function in llvm.parse_bitcode(llvm_code).functions if not function.is_declaration}
    needed = defined & {descriptor.llvm_func_name, descriptor.llvm_cpython_wrapper_name}
    module = ir.Module(name)
    for each in sorted(needed):
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), ()), each)
        ir.IRBuilder(function.append_basic_block()).ret_void()
    names = llvm.parse_assembly(str(module)).as_bitcode()
    return (name, kind, (machine_code, names)), descriptor, *rest


@cache
def _directories():
    """Directories to search for compiled functions; the first writable one stores new ones."""
    if SOURCES is None:  # two versions of the package could not be told apart
        return []
    bases = [IN_TREE, *_of_user()]
    if config.CACHE_DIR:
        bases = [Path(config.CACHE_DIR)]
    elif INSTALLED:
        bases.reverse()  # pip would leave the files behind
    name = f"sknn_iitb-{SOURCES}-{_target_digest()}"
    return [base / name for base in bases]


def _of_user():
    """The user's cache directory in a list, which is empty for a user without a home."""
    # Numba takes an empty or relative XDG_CACHE_HOME, which count as unset, and "~" without a home literally: it would
    # store code in the working directory, and run what others have left there
    candidates = AppDirs("numba", False).user_cache_dir, os.path.expanduser("~/.cache/numba")
    return [path for path in map(Path, candidates) if path.is_absolute()][:1]


@cache
def _announcement():
    # not Path.exists, which raises in a folder that cannot be entered
    existing = (next(each for each in (path, *path.parents) if os.path.exists(each)) for path in _directories())
    if any(os.access(each, os.W_OK) for each in existing):
        return "Compiling once; the result is cached on disk."
    return "Compiling. Set NUMBA_CACHE_DIR to a writable folder to keep the result for later processes."


def store_in_package():
    """Store compiled functions beside the package, if that is writable; call it before anything is compiled."""
    if not config.CACHE_DIR and os.access(IN_TREE.parent, os.W_OK):
        config.CACHE_DIR = str(IN_TREE)


def cache_directory():
    """The directory of the compiled functions; None if none could be written."""
    return next((directory for directory in _directories() if os.path.isdir(directory)), None)


def _target_digest():
    codegen = numba.core.registry.cpu_target.target_context.codegen()
    options = [config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE]
    target = [sys.implementation.cache_tag, platform.machine(), numba.__version__, llvmlite_version, np.__version__]
    return hashlib.sha256(repr((target, codegen.magic_tuple(), options)).encode()).hexdigest()[:16]
