"""Machine code of the readers' inner loops: made in a second, kept for the next run, loaded in 5 ms.

:mod:`lowering` turns the functions that a module lists as ``KERNELS`` into
LLVM's language; LLVM, which numba brings along, makes an object file of it for
this processor. The files are kept under a fingerprint of everything they are
made from. Limit: columns are given as NumPy arrays, and a column that is too
short is not noticed, so these functions are called by their own readers only.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis.compiled_cache import private_directory
from beacon_detect.readers.native import lowering

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from beacon_detect.readers.native.signature import Signature

OPTIMISE = 3
_KINDS = {8: np.dtype(np.uint8), 32: np.dtype(np.int32), 64: np.dtype(np.int64)}


def compile_kernels(modules: Sequence[ModuleType]) -> SimpleNamespace:
    """Return the functions that the modules list as ``KERNELS``, as machine code."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    found: dict[str, Any] = {}
    for module in modules:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(llvm))
        engine.add_object_file(llvm.ObjectFileRef.from_data(_object(module)))
        engine.finalize_object()
        for name, signature in lowering.signatures(module).items():
            address = engine.get_function_address(f"entry.{name}")
            found[name] = _Native(signature, address, engine)
    return SimpleNamespace(**found)


def is_warm(modules: Sequence[ModuleType]) -> bool:
    """Say whether an earlier run has left the machine code: some milliseconds instead of a second."""
    paths = [_path(module) for module in modules]
    return all(path is not None and path.exists() for path in paths)


def _machine(llvm: Any) -> Any:
    """Return LLVM's description of this processor."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=OPTIMISE,
        jit=True,
    )


def _object(module: ModuleType) -> bytes:
    """Return a module's object file, from an earlier run if there was one."""
    path = _path(module)
    if path is not None:
        try:
            return path.read_bytes()
        except OSError:
            pass
    data = _compile(module)
    if path is not None:
        _keep(path, data)
    return data


def _compile(module: ModuleType) -> bytes:
    import llvmlite.binding as llvm

    machine = _machine(llvm)
    code = llvm.parse_assembly(lowering.lower(module))
    code.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=OPTIMISE)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(code, passes)
    data: bytes = machine.emit_object(code)
    return data


def _keep(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: another process may be looking for it."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
    except OSError:
        return  # a full disk costs the next run a second


@cache
def _path(module: ModuleType) -> Path | None:
    """Return where the module's object file is kept; None when nowhere."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for part in (version("llvmlite"), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()):  # fmt: skip
        digest.update(part.encode())
    # Constants may come from the module's neighbours.
    folders = {Path(inspect.getfile(module)).parent, Path(__file__).parent}
    for source in sorted(path for folder in folders for path in folder.glob("*.py")):
        digest.update(source.read_bytes())
    directory = private_directory(f"readers-{digest.hexdigest()[:16]}")
    return None if directory is None else directory / f"{module.__name__}.o"


class _Native:
    """A function that is called with integers and arrays, and gives integers."""

    def __init__(self, signature: Signature, address: int, owner: Any) -> None:
        self._kinds = [_KINDS.get(bits) for bits in signature.parameters.values()]
        self._results = signature.results
        self._made = ctypes.c_int64 * max(signature.results, 1)
        kinds: list[Any] = []
        for kind in self._kinds:
            kinds += [ctypes.c_int64] if kind is None else [ctypes.c_void_p, ctypes.c_int64]
        self._call = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_void_p)(address)
        self._owner = owner  # the code lives as long as this

    def __call__(self, *arguments: Any) -> Any:
        """Call it; the interpreter's lock is free meanwhile.

        Raises
        ------
        TypeError
            A column is of another type or not contiguous.
        """
        passed: list[int] = []
        for kind, argument in zip(self._kinds, arguments, strict=True):
            if kind is None:
                passed.append(argument)
            elif argument.dtype == kind and argument.flags.c_contiguous:
                passed += (argument.ctypes.data, argument.size)
            else:
                raise TypeError(f"{kind} expected, not {argument.dtype}")
        made = self._made()
        self._call(*passed, ctypes.addressof(made))
        return made[0] if self._results == 1 else tuple(made)
