"""What a `torch.export` archive may hold: tensors as plain bytes and a graph of known operations; everything else is refused.

`torch.export.load` unpickles tensors, evaluates expressions of sizes and guards as Python, loads compiled libraries and looks
up any name of torch as an operation. So the archive is written anew first, of what is checked here.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from typing import Any

import torch

from scd_core.errors import InputError

__all__ = ["safe_archive"]

_MODEL = "models/model.json"
_CONFIGS = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
_LEFT_OUT = ("data/sample_inputs/", "extra/", ".data/")
"""Not needed to run: pictures that the export was made with among it."""
_NAME = re.compile(r"[\w.]{0,300}")
_TEXT = re.compile(r"[\w ,.>+-]{0,200}")
"""Arguments that are text: a mode, the equation of an einsum."""
_MODULES = re.compile(r"[\w.,;<>@ -]{0,20000}")
_TYPES = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None}
_TEXT_ARGUMENTS = {"approximate", "rounding_mode", "mode", "padding_mode", "reduce", "equation", "indexing", "ord"}
"""Arguments of operations that are text; none is the name of a file."""
_OPERATORS = {
    "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_",
    "getitem",
}  # fmt: skip
_EXPRESSION = {
    "Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CleanDiv",
    "CeilDiv", "ModularIndexing", "Where", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "LessThan",
    "GreaterThan", "StrictLessThan", "StrictGreaterThan", "And", "Or", "Not", "IntTrueDiv", "FloatTrueDiv", "ToFloat",
    "TruncToInt", "FloorToInt", "CeilToInt", "RoundToInt", "positive", "nonnegative", "integer", "True", "False", "true",
    "false", "precision", "evaluate",
}  # fmt: skip
"""Words of an expression of sizes."""


def safe_archive(data: bytes, name: str) -> bytes:
    """The archive of one exported program, written anew of what may be loaded.

    What the program was exported with (sample pictures, paths of source files) is left out, and it is on the CPU.

    Args:
        data: an archive of `torch.export.save`.
        name: of the file, in messages.

    Raises:
        InputError: it is none; or it holds what is pickled, compiled or compressed, an operation that is not one of PyTorch's
            own on tensors, or tensors larger than the file.
    """
    check = _Check(f"weights {name}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED for one in infos) or sum(
                one.file_size for one in infos
            ) > len(data):
                raise check.refused("is compressed, which torch.export.save never does; it is not unpacked")
            sizes = {one.filename.partition("/")[2]: one.file_size for one in infos}
            if len(sizes) != len(infos):
                raise check.refused("has several files of one name")
            _check_files(sizes, check)
            root = infos[0].filename.partition("/")[0]
            texts = {path: archive.read(f"{root}/{path}") for path in (_MODEL, *_CONFIGS.values()) if path in sizes}
            texts = {path: _cleaned(text, path, sizes, check) for path, text in texts.items()}
            return _written(archive, root, sizes, texts)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, NotImplementedError, RecursionError) as error:
        raise check.refused("is a damaged archive of torch.export; export it again") from error


def _check_files(sizes: dict[str, int], check: _Check) -> None:
    if any(path.startswith("data/aotinductor") or path.endswith((".so", ".cubin", ".cpp")) for path in sizes):
        raise check.refused("holds a compiled library, which is not run; export it with torch.export.save")
    if _MODEL not in sizes or any(path not in sizes for path in _CONFIGS.values()):
        raise check.refused(
            "is no archive that torch.export.save of PyTorch 2.9 or later writes; load it where it was made and save it again"
        )
    known = ("archive_format", "archive_version", "byteorder", _MODEL, *_CONFIGS.values())
    for path in sizes:
        is_tensor = re.fullmatch(r"data/(weights/weight|constants/tensor)_\d+", path)
        if path not in known and not is_tensor and not path.startswith(_LEFT_OUT):
            raise check.refused(f"holds `{path[:80]}`, which is no tensor and no graph; it is not read")


def _cleaned(text: bytes, path: str, sizes: dict[str, int], check: _Check) -> bytes:
    content = json.loads(text)
    if path == _MODEL:
        content |= {"guards_code": [], "verifiers": content.get("verifiers", [])}
    else:
        folder = path.rpartition("/")[0]
        for key, one in content["config"].items():
            meta = one["tensor_meta"]
            if one["use_pickle"] or meta is None:
                raise check.refused(f"holds `{key[:80]}` pickled, which is not read; save it as a plain tensor")
            n = math.prod(int(size["as_int"]) for size in meta["sizes"])
            if not 0 <= n <= sizes.get(f"{folder}/{one['path_name']}", 0):
                raise check.refused(f"{key[:80]} is larger than what the file holds of it")
    return json.dumps(check.value(content, "")).encode()


def _written(archive: zipfile.ZipFile, root: str, sizes: dict[str, int], texts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for path in sizes:
            if not path.startswith(_LEFT_OUT):
                new.writestr(f"model/{path}", texts[path] if path in texts else archive.read(f"{root}/{path}"))
        new.writestr("model/data/sample_inputs/model.pt", b"")
        new.writestr("model/.data/version", b"3\n")
    return buffer.getvalue()


class _Check:
    """Goes through the JSON of a program; gives it back without what need not be there."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refused(self, words: str) -> InputError:
        """The error of this file."""
        return InputError(f"{self.where}: {words}")

    def value(self, content: Any, key: str) -> Any:
        """Content under a key, checked.

        Raises:
            InputError: it holds something that is not known to be harmless.
        """
        if isinstance(content, list):
            return [self.value(one, key) for one in content]
        if isinstance(content, dict):
            return self._dictionary(content, key)
        if isinstance(content, str):
            self._text(content, key)
        return content

    def _dictionary(self, content: dict[str, Any], key: str) -> dict[str, Any]:
        if set(content) == {"type", "index"}:
            return {"type": "cpu", "index": None}
        if key == "metadata":
            stack = content.get("nn_module_stack")
            return {"nn_module_stack": stack} if isinstance(stack, str) and _MODULES.fullmatch(stack) else {}
        if "target" in content and "inputs" in content:
            self._node(content)
        for name, value in content.items():
            if not _NAME.fullmatch(name):
                raise self.refused(f"has the name {name[:60]!r}, which is none that torch.export gives")
            if name in ("as_custom_obj", "custom_obj", "as_graph", "as_opaque", "token") and value:
                raise self.refused(f"holds `{name}`, which is not run; export a network of tensors alone")
        return {name: self.value(value, name) for name, value in content.items()}

    def _text(self, text: str, key: str) -> None:
        if key == "expr_str":
            self._expression(text)
        elif key in ("in_spec", "out_spec"):
            self._tree(json.loads(text))
        elif key == "as_operator" or (key == "target" and text.startswith(("torch", "_operator", "math", "#"))):
            self._operation(text)
        elif key == "as_string":
            if not _TEXT.fullmatch(text):
                raise self.refused(f"has the argument {text[:60]!r}, which no operation of a network needs")
        elif key != "torch_version" and not _NAME.fullmatch(text):
            raise self.refused(f"has the name {text[:60]!r}, which is none that torch.export gives")

    def _node(self, node: dict[str, Any]) -> None:
        self._operation(node["target"])
        for one in node["inputs"]:
            if "as_string" in one["arg"] and one["name"] not in _TEXT_ARGUMENTS:
                raise self.refused(f"gives `{one['name'][:60]}` of {node['target'][:60]} a text, which is not run")

    def _operation(self, target: str) -> None:
        parts = target.split(".")
        if parts[0] == "_operator" and len(parts) == 2 and parts[1] in _OPERATORS:
            return
        is_own = parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5 and all(map(str.isidentifier, parts))
        packet = getattr(torch.ops.aten, parts[3], None) if is_own and not parts[3].startswith("__") else None
        overload = getattr(packet, parts[4], None) if packet is not None and parts[4] in packet.overloads() else None
        if overload is None:
            raise self.refused(
                f"uses {target[:80]}, which is none of PyTorch's own operations on tensors; it is not run"
            )
        texts = [one.name for one in overload._schema.arguments if "str" in str(one.type)]
        if any(one not in _TEXT_ARGUMENTS for one in texts):
            raise self.refused(f"uses {target[:80]}, which takes a text such as the name of a file; it is not run")

    def _expression(self, text: str) -> None:
        bare = re.sub(r"'[a-z]{1,3}\d{1,6}'", "0", text)
        words = re.findall(r"[A-Za-z_]\w*", bare)
        is_known = re.fullmatch(r"[\w\s+\-*/(),=.]{1,2000}", bare) and "**" not in bare
        is_known = is_known and all(word in _EXPRESSION or re.fullmatch(r"[a-z]{1,3}\d{1,6}", word) for word in words)
        digits = max((len(one) for one in re.findall(r"\d+", bare)), default=0)
        if not is_known or digits > (3 if "Pow" in words else 20) or words.count("Pow") > 1:
            raise self.refused(f"has the size {text[:60]!r}, which is no expression of sizes; it is not evaluated")

    def _tree(self, content: Any) -> None:
        if isinstance(content, list):
            for one in content:
                self._tree(one)
        elif isinstance(content, dict):
            if content.get("type") not in _TYPES:
                raise self.refused(
                    f"takes or gives a {str(content.get('type'))[:60]}; export a network of tensors alone"
                )
            if not isinstance(content.get("context"), str | None) or not re.fullmatch(
                r"[\w\[\]\", ]*", content.get("context") or ""
            ):
                raise self.refused("has an input or output that is no tensor, list or dictionary of tensors")
            self._tree(content.get("children_spec"))
