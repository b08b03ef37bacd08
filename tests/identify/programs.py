"""Small networks as programs, ONNX and torch.export, for tests of several files."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scd_core.identify.architectures import build_network

LABELS = ("Luna", "Nyx", "Tara")
SIZE = (48, 64)
STATED: dict[str, Any] = {"size": SIZE, "mean": (0.5, 0.4, 0.3), "std": (0.25, 0.2, 0.3), "labels": LABELS}


def small(seed: int = 0) -> nn.Module:
    """Random weights, with statistics of the pictures below, so that its logits differ between them."""
    torch.manual_seed(seed)
    network = build_network("scd_core/small_cnn", 3, {"width": 4}).train()
    with torch.no_grad():
        for _ in range(30):
            network(pictures(8))
        network.get_parameter("head.weight").mul_(4)
    return network.eval()


class Last(nn.Module):
    """Channels last in, and something after the logits."""

    def __init__(self, network: nn.Module, after: Callable[[torch.Tensor], Any], nhwc: bool = False) -> None:
        super().__init__()
        self.network, self.after, self.nhwc = network, after, nhwc
        self.eval()

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.network(x.permute(0, 3, 1, 2) if self.nhwc else x))


def pictures(n: int, *, nhwc: bool = False) -> torch.Tensor:
    """Noise, each picture brighter than the one before."""
    found = torch.rand(n, 3, *SIZE, generator=torch.Generator().manual_seed(3))
    found *= torch.linspace(0.2, 1, n).view(-1, 1, 1, 1)
    return found.permute(0, 2, 3, 1).contiguous() if nhwc else found


def exported(network: nn.Module, path: Path, *, batch: int | None = None, nhwc: bool = False) -> Path:
    """Written by torch.export.save; for any batch from 1 to 16, or for one."""
    dynamic = None if batch else ({0: torch.export.Dim("n", min=1, max=16)},)
    torch.export.save(torch.export.export(network, (pictures(batch or 2, nhwc=nhwc),), dynamic_shapes=dynamic), path)
    return path


def as_onnx(network: nn.Module, path: Path, *, batch: int | None = None, nhwc: bool = False) -> Path:
    """Written by torch.onnx.export; for any batch, or for one."""
    axes = {} if batch else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (pictures(batch or 1, nhwc=nhwc),), path, input_names=["x"], dynamo=False, opset_version=17, **axes
        )
    return path


def changed(
    data: bytes, files: Mapping[str, Callable[[bytes], bytes] | bytes | None], *, compressed: bool = False
) -> bytes:
    """An archive with some files changed, added or, where None, left out; paths without the archive's own folder."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as new,
    ):
        root = old.namelist()[0].partition("/")[0]
        content = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        for path, change in files.items():
            if change is None:
                del content[path]
            else:
                content[path] = change if isinstance(change, bytes) else change(content[path])
        for path, one in content.items():
            new.writestr(f"{root}/{path}", one)
    return buffer.getvalue()
