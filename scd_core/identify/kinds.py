"""What kind of file weights are, by their first bytes and by the names in their archive, before anything of it is loaded."""

from __future__ import annotations

import io
import zipfile
from typing import Literal

from scd_core.errors import InputError

__all__ = ["Kind", "check_kind"]

Kind = Literal["tensors", "onnx", "torch-export", "torchscript"]


def check_kind(data: bytes, name: str, wanted: Kind = "tensors") -> None:
    """Refuse what is no file of the wanted kind.

    Args:
        data: the whole file.
        name: of it; its ending is looked at where the bytes do not decide.
        wanted: tensors, as of a state dict; an ONNX model; an archive of torch.export; or one of TorchScript.

    Raises:
        InputError: it is something else; the message names it and what to do.
    """
    head = data[:512].lstrip()
    is_onnx = _is_onnx(data) or name.endswith(".onnx")
    kinds: list[tuple[bool, str]] = [
        (not data, "is empty; download it again"),
        (
            head[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")),
            "is a web page, not weights: the download needs a login or another address",
        ),
        (
            head.startswith(b"version https://git-lfs"),
            "is a git-LFS pointer, not the weights; run `git lfs pull`, or download the file itself",
        ),
        (
            data.startswith(b"\x89HDF\r\n\x1a\n"),
            "is an HDF5 file of Keras; export it to ONNX (docs/recipes/keras.md), then --architecture onnx",
        ),
        (
            data[4:8] == b"TFL3",
            "is a TensorFlow Lite model, which has no weights to train or mask; take the original",
        ),
        (data.startswith(b"\x1f\x8b"), "is gzipped; unpack it first"),
        (data.startswith((b"Rar!", b"7z\xbc\xaf")), "is an archive; unpack it first"),
    ]
    for is_kind, words in kinds:
        if is_kind:
            raise InputError(f"weights {name}: {words}")
    if data.startswith(b"PK\x03\x04") and not name.endswith(".safetensors"):
        _check_zip(data, name, wanted)
    elif is_onnx and wanted != "onnx":
        raise InputError(f"weights {name}: is an ONNX model; pack it with --architecture onnx")
    elif wanted != "tensors" and not (wanted == "onnx" and is_onnx):
        expected = {
            "torch-export": "an archive of torch.export.save (.pt2)",
            "torchscript": "an archive of torch.jit.save",
        }.get(wanted, "an ONNX model (.onnx)")
        raise InputError(f"weights {name}: is not {expected}, which --architecture {wanted} needs")


def _is_onnx(data: bytes) -> bool:
    """A protobuf that begins as ONNX does: the version of the format, then who wrote it, or its graph."""
    return len(data) > 3 and data[0] == 0x08 and 1 <= data[1] <= 20 and data[2] in (0x12, 0x3A, 0x42)


def _check_zip(data: bytes, name: str, wanted: Kind) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise InputError(f"weights {name}: is a damaged archive; download it again") from error
    names = [info.filename for info in infos]
    last = {one.rpartition("/")[2] for one in names}
    inside = {one.partition("/")[2] or one for one in names}
    is_script = any("/code/" in f"/{one}" or one.endswith("constants.pkl") for one in names)
    if is_script and wanted == "torchscript":
        return
    if is_script:
        raise InputError(f"weights {name}: is a TorchScript program; pack it with --architecture torchscript")
    is_exported = bool({"archive_format", "models"} & {one.partition("/")[0] for one in inside})
    if is_exported and wanted == "torch-export":
        return
    if is_exported or any(one.endswith(".pt2") for one in names):
        raise InputError(f"weights {name}: is an archive of torch.export; pack it with --architecture torch-export")
    if "model.weights.h5" in names or "keras_metadata.pb" in names or "saved_model.pb" in last:
        raise InputError(
            f"weights {name}: is a Keras model; export it to ONNX (docs/recipes/keras.md), then --architecture onnx"
        )
    if "data.pkl" not in last:
        raise InputError(f"weights {name}: is a zip archive without weights of torch.save in it; unpack it first")
    if wanted != "tensors":
        raise InputError(
            f"weights {name}: holds tensors of torch.save and no network; name its architecture: torchvision/NAME or timm/NAME"
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos) or sum(i.file_size for i in infos) > len(data):
        raise InputError(f"weights {name}: is compressed, which torch.save never does; it is not unpacked")
