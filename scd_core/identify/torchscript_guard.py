"""What a TorchScript archive may hold before a process without rights reads it: code of known operations, and plain tensors."""

from __future__ import annotations

import ast
import io
import pickletools
import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch

from scd_core.errors import InputError

__all__ = ["safe_script"]

_FILES = re.compile(
    r"(version|byteorder|\.format_version|\.storage_alignment|\.data/(serialization_id|version)|data\.pkl|constants\.pkl|data/\d+|"
    r"constants/\d+|code/[\w./]+\.py)"
)
_LEFT_OUT = re.compile(
    r"(extra/.*|traced_inputs.*|code/[\w./]+\.py\.debug_pkl|attributes\.pkl|mobile_.*|bytecode\.pkl)"
)
"""Not needed to run."""
_GLOBALS = re.compile(
    r"(__torch__[\w.]* \w+|collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch \w+Storage|"
    r"torch\.jit\._pickle (build_(int|double|bool|tensor)list|build_tensor_from_id|restore_type_tag))"
)
_TEXT_ARGUMENTS = {
    "approximate", "rounding_mode", "mode", "padding_mode", "reduce", "equation", "indexing", "ord", "padding", "self", "substr",
    "a", "b", "el",
}  # fmt: skip
"""Arguments of operations that are text; none is the name of a file."""
_LARGEST_CODE = 2**25
"""Bytes of code and pickles: those of large networks have a tenth of it."""
_OF_TEXT = {
    "add", "eq", "ne", "lt", "le", "gt", "ge", "len", "format", "warn", "append", "slice", "__contains__", "__getitem__",
    "keys", "values", "items", "percentFormat", "list", "dict", "_set_item",
}  # fmt: skip
"""Operations that also take text, and do nothing with it but compare, join or print it."""
_PRIM = {
    "NumToTensor", "data", "device", "dtype", "min", "max", "abs", "is_cuda", "requires_grad", "RaiseException", "layout",
    "unchecked_cast", "shape", "tolist", "unchecked_unwrap_optional", "ImplicitTensorToNum", "isinstance", "type",
    "is_nested", "is_sparse", "is_mkldnn", "is_quantized", "is_meta", "itemsize", "ndim", "name",
}  # fmt: skip
_NAMES = {
    "annotate", "unchecked_cast", "uninitialized", "getattr", "float", "int", "bool", "str", "range", "isinstance", "len",
    "ord", "hash", "abs", "min", "max", "round", "unwrap_optional", "tuple", "list",
}  # fmt: skip


def safe_script(data: bytes, name: str) -> bytes:
    """The archive written anew of its code and its tensors, both checked; nothing of it is run or unpickled.

    A process without rights reads it all the same (:mod:`scd_core.identify.torchscript`): this check is the first of two doors.

    Args:
        data: an archive of `torch.jit.save`.
        name: of the file, in messages.

    Raises:
        InputError: it is none; it unpacks to too much; its code uses an operation that is none of PyTorch's own on tensors and
            lists, or runs when it is read; or its pickles have more than tensors and its own classes.
    """
    where = f"weights {name}"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            packed = [one for one in infos if one.compress_type != zipfile.ZIP_STORED]  # code is, tensors never
            plain = sum(one.file_size for one in infos if one.compress_type == zipfile.ZIP_STORED)
            if plain > len(data) or sum(one.file_size for one in packed) > _LARGEST_CODE:
                raise InputError(f"{where}: unpacks to more than torch.jit.save writes; it is not unpacked")
            inside = {one.filename.partition("/")[2]: one.filename for one in infos}
            if len(inside) != len(infos):
                raise InputError(f"{where}: has several files of one name")
            kept = {path: archive.read(full) for path, full in inside.items() if not _LEFT_OUT.fullmatch(path)}
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, IndexError, RuntimeError) as error:
        raise InputError(f"{where}: is a damaged archive of torch.jit.save; download it again") from error
    for path in kept:
        if not _FILES.fullmatch(path):
            raise InputError(f"{where}: holds `{path[:80]}`, which is no code and no tensor; it is not read")
    _check_pickles(kept, where)
    _check_code({path: text for path, text in kept.items() if path.startswith("code/")}, where)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for path, content in kept.items():
            new.writestr(f"model/{path}", content)
    return buffer.getvalue()


def _check_pickles(files: dict[str, bytes], where: str) -> None:
    for path in ("data.pkl", "constants.pkl"):
        try:
            found = [
                str(argument or opcode.name).replace("\n", " ")
                for opcode, argument, _ in pickletools.genops(files[path])
                if opcode.name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX")
            ]
        except Exception as error:  # a damaged pickle raises anything
            raise InputError(f"{where}: has no readable {path}; download it again") from error
        for one in found:
            if not _GLOBALS.fullmatch(one):
                raise InputError(f"{where}: {path} refers to `{one[:80]}`, which is no tensor; it is not read")


def _check_code(files: dict[str, bytes], where: str) -> None:
    trees = []
    for path, text in files.items():
        try:
            trees.append(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"{where}: {path[:80]} is no code that torch.jit.save writes") from error
    own = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    if "forward" not in own:
        raise InputError(f"{where}: has no `forward`; save the network by torch.jit.save")
    for one in sorted(own & {"__setstate__", "__getstate__"}):
        raise InputError(f"{where}: has a method `{one}`, which runs when it is read; it is not read")
    own |= {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for tree in trees:
        aliases = _aliases(tree)
        for called in _called(tree, where):
            # A function of the archive is given a short name before it is called.
            for one in aliases.get(called, {called}):
                if not _is_known(one, own):
                    raise InputError(
                        f"{where}: uses {one[:80]}, which is none of PyTorch's own operations on tensors; it is not run"
                    )


def _called(tree: ast.AST, where: str) -> Iterator[str]:
    """What the code calls, as dotted names; ``.name`` of a method of what an expression gives."""
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("torch", "ops") and id(node) not in bases:
            raise InputError(f"{where}: its code is none that torch.jit.save writes")
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.AsyncFunctionDef | ast.Await | ast.With):
            raise InputError(f"{where}: its code is none that torch.jit.save writes")
        if isinstance(node, ast.Call):
            yield _dotted(node.func)


def _aliases(tree: ast.AST) -> dict[str, set[str]]:
    """Local name -> what of the archive it stands for."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, set()).add(_dotted(node.value))
    return found


def _dotted(node: Any) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return ".".join([node.id, *reversed(parts)])
    return "." + parts[0] if parts else "?"


def _is_known(called: str, own: set[str]) -> bool:
    first, _, rest = called.partition(".")
    if first == "torch":
        return _is_harmless(rest)
    if first == "ops":
        space, _, name = rest.partition(".")
        return name in _PRIM if space == "prim" else space == "aten" and _is_harmless(name)
    if not rest:
        return called in _NAMES
    # A method or function of the archive: all of them are gone through.
    return called.rpartition(".")[2] in own


@lru_cache(maxsize=1024)
def _is_harmless(name: str) -> bool:
    """Whether an operation takes no text that could be the name of a file."""
    if name in _OF_TEXT:
        return True
    if not name.isidentifier():
        return False
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    texts = {one.name for schema in schemas for one in schema.arguments if "str" in str(one.type)}
    return bool(schemas) and texts <= _TEXT_ARGUMENTS
