"""TorchScript programs: written anew as programs of `torch.export` by a process that has no rights to files and the network.

Such a program may do anything that TorchScript can, so it is read in a process that first gives up all rights, and never here.
What comes back is an archive of `torch.export`, which is checked as any other (:mod:`scd_core.identify.exported_guard`).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import torch
from torch import Tensor

from scd_core.errors import InputError
from scd_core.identify.torchscript_guard import safe_script

__all__ = ["converted_script"]

_SECONDS = 600
_MEMORY = 8 * 2**30
_LARGEST = 2**31
"""Bytes of an answer."""
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from scd_core.identify.torchscript_child import main; main()"


def converted_script(
    data: bytes, pictures: Tensor, name: str, *, seconds: int = _SECONDS, memory_bytes: int = _MEMORY
) -> tuple[bytes, list[Tensor]]:
    """A TorchScript archive as one of `torch.export`, which is not checked yet.

    Args:
        data: an archive of `torch.jit.save`.
        pictures: (B, ...) float32, at least 2, in the layout that the program takes.
        name: of the file, in messages.
        seconds: of processor time that the other process may take.
        memory_bytes: that it may take beyond what the libraries need and four times the archive.

    Returns:
        The archive; and all outputs of the program itself for the first picture.

    Raises:
        InputError: the archive has more than code of known operations and tensors; this system cannot take the rights of a
            process; or the program cannot be run or written anew.
    """
    where = f"weights {name}"
    archive = safe_script(data, name)
    shown = pictures.contiguous().numpy().tobytes()
    request = {
        "n_pictures": len(shown), "n_archive": len(archive), "shape": list(pictures.shape), "seconds": seconds,
        "memory_bytes": memory_bytes + 4 * len(archive),
    }  # fmt: skip
    # No key of this process goes along, and no address of a GPU.
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "LD_LIBRARY_PATH") if key in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            input=b"".join((json.dumps(request).encode() + b"\n", shown, archive)),
            capture_output=True,
            timeout=10 * seconds + 600,
            env=kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{where}: no process without rights could read it ({type(error).__name__})") from error
    header, parts = _answer(done.stdout)
    if header is None:
        raise InputError(
            f"{where}: the process that read it ended (code {done.returncode}): it takes more than {seconds} s of processor time "
            f"or {memory_bytes / 2**30:.0f} GiB, or tried what no network does"
        )
    if "unlockable" in header:
        raise InputError(
            f"{where}: is a TorchScript program, which may do anything, and this system cannot keep it from files and the "
            f"network ({str(header['unlockable'])[:200]}); pack it on Linux, or export it by torch.export where it was made"
        )
    if "error" in header:
        raise InputError(
            f"{where}: cannot be written as a program of torch.export ({str(header['error'])[:200]}); check --size, or export it "
            "by torch.export or torch.onnx where it was made"
        )
    try:
        shapes = [tuple(int(size) for size in shape) for shape in header["shapes"]]
        outputs = [
            torch.frombuffer(bytearray(part), dtype=torch.float32).reshape(shape)
            for part, shape in zip(parts[1:], shapes, strict=True)
        ]
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"{where}: the process that read it gave no answer that can be used") from error
    return parts[0], outputs


def _answer(content: bytes) -> tuple[dict[str, Any] | None, list[bytes]]:
    """Header and parts of an answer, whose sizes are those that it states."""
    line, _, rest = content.partition(b"\n")
    try:
        header = json.loads(line)
        sizes = [int(size) for size in header["sizes"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, []
    if any(size < 0 for size in sizes) or math.fsum(sizes) != len(rest) or len(rest) > _LARGEST:
        return None, []
    parts, start = [], 0
    for size in sizes:
        parts.append(rest[start : start + size])
        start += size
    return header, parts
