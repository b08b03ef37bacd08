"""A model package in use: pictures in, calibrated probabilities out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.errors import InputError, RunError, first_line
from scd_core.identify.architectures import features_at, fit_state, last_linear, load_state, network_of
from scd_core.identify.fuse import fused_copy
from scd_core.identify.gallery import GalleryNetwork, read_gallery
from scd_core.identify.load_program import load_program
from scd_core.identify.package import Package, read_package
from scd_core.identify.preprocess import preprocess
from scd_core.identify.program import EXACT, Program
from scd_core.identify.spec import PackageSpec

__all__ = ["Classifier", "load_model", "resolve_device", "shared_model"]

_CPU_BATCH = 8
"""Images in one pass on a CPU: what a layer gives stays in the cache, which at 32 images costs a third of the speed."""


class Classifier:
    """A network with its labels, preprocessing and temperature.

    Attributes:
        spec: the package's description.
        digest: the package's sha256, stamped on every row.
        model: normalised float (B, 3, H, W) -> logits (B, K), in eval mode, on ``device``.
        device: where the model is.
        names: the individuals, in the order of their first class; fewer than classes where classes share a name.
        whitening: how embeddings are compared; None compares them as they are.
        has_gallery: the model is an embedding network with a gallery.
        no_masks: why no gradients pass through the model, so that there are no masks; None where they do.
        gives_gradient: gradients pass through what names pictures as well.
        has_features: what the head of the network reads of a picture is known.
        frame_head: last layer for the whole frame, whose logits are added to those of the box; None names boxes alone.
        lock: hold it while gradients are taken through the model, which is shared by threads.
    """

    def __init__(self, package: Package, device: torch.device) -> None:
        self.spec: PackageSpec = package.spec
        self.digest = package.digest
        self.device = device
        self.has_gallery = package.gallery is not None
        self.whitening = package.read_whitening()
        self.no_masks: str | None = None
        self.gives_gradient = self.has_features = True
        self._program: Program | None = None
        self.frame_head = package.read_frame_head()
        self.model: nn.Module = self._loaded_program(package) if self.spec.program else self._built(package)
        self.lock = threading.Lock()
        self.names: tuple[str, ...] = tuple(dict.fromkeys(self.spec.labels))
        self._place = {name: number for number, name in enumerate(self.names)}
        self._name_of_class = torch.tensor([self._place[label] for label in self.spec.labels])

    def _loaded_program(self, package: Package) -> nn.Module:
        found = load_program(package.weights, self.spec, self.device, self.spec.weights)
        if package.gallery is not None:
            naming = self._with_gallery(found.naming, package)
            model = naming if found.model is found.naming else self._with_gallery(found.model, package)
            found = replace(found, naming=naming, model=model)
        self._program = found
        self.no_masks, self.gives_gradient = found.no_masks, found.gives_gradient
        self.has_features = self.has_gallery or found.head is not None
        return found.model

    def _built(self, package: Package) -> nn.Module:
        network = network_of(self.spec)
        fit_state(network, load_state(package.weights, self.spec.weights), self.spec, self.spec.weights)
        self._check_frame_head(network)
        if package.gallery is not None:
            return self._with_gallery(network, package)
        return network.eval().requires_grad_(False).to(self.device)

    def _check_frame_head(self, network: nn.Module) -> None:
        """Refuse a layer for the whole frame that does not fit the network.

        Raises:
            InputError: it does not.
        """
        if self.frame_head is None:
            return
        name = last_linear(network)
        last: Any = network.get_submodule(name) if name is not None else None
        if last is None or last.in_features != self.frame_head.weight.shape[1]:
            raise InputError(
                f"frame_head {self.spec.frame_head}: does not fit the network; take the package as it was written"
            )

    def _with_gallery(self, network: nn.Module, package: Package) -> nn.Module:
        assert package.gallery is not None
        embeddings, classes = read_gallery(package.gallery, self.spec)
        if self.whitening is not None and len(self.whitening.mean) != embeddings.shape[1]:
            sizes = f"{len(self.whitening.mean)}, the gallery's have {embeddings.shape[1]}"
            raise InputError(f"whitening {self.spec.whitening}: is of embeddings of {sizes} values; pack it again")
        found = GalleryNetwork(network, embeddings, classes, self.spec.similarity_scale, self.whitening)
        return found.eval().requires_grad_(False).to(self.device)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Picture -> (3, H, W) normalised float32, on the CPU."""
        return preprocess(image, self.spec.input)

    @torch.inference_mode()
    def logits(self, batch: Tensor, *, leave_out_equal: bool = False) -> Tensor:
        """(B, 3, H, W) normalised -> (B, K) logits, float32, on the CPU.

        `leave_out_equal`: gallery pictures that are the picture itself do not count; without a gallery it does nothing.
        """
        return torch.cat([self._logits(part, leave_out_equal) for part in self.passes(batch)]).float().cpu()

    def passes(self, batch: Tensor) -> Iterator[Tensor]:
        """The parts of a batch that go through the network together, on its device."""
        size = _CPU_BATCH if self.device.type == "cpu" else max(1, len(batch))
        return (part.to(self.device, non_blocking=True) for part in batch.split(size))

    def _logits(self, batch: Tensor, leave_out_equal: bool) -> Tensor:
        network: Any = self.naming_network
        if leave_out_equal and self.has_gallery:
            return network.similarity_logits(network.embed(batch), leave_out_equal=True)
        return network(batch)

    @cached_property
    def naming_network(self) -> nn.Module:
        """The model, or on a CPU its faster copy; of an ONNX model what onnxruntime runs."""
        if self._program is not None:
            return self._program.naming
        if self.device.type != "cpu":
            return self.model
        known: Any = self.model
        with torch.inference_mode(False):  # whoever names first: gradients are taken through it as well
            if not self.has_gallery:
                return fused_copy(known)
            faster = GalleryNetwork(fused_copy(known.network), known.embeddings, known.classes, known.scale)
            faster.share_whitening(known)
            return faster

    @contextmanager
    def reading_features(self) -> Iterator[list[Tensor]]:
        """Inside, what the head reads in each pass of this thread through :attr:`naming_network` is put into the list.

        Each is (B, D), float32, on the CPU. With a gallery it is the network's output. Where a network has no linear layer the
        list stays empty.
        """
        network: Any = self.naming_network
        if self.has_gallery:
            with features_at(network.network, "", after=True) as read:
                yield read
            return
        head = last_linear(network) if self._program is None else self._program.head
        if head is None:
            yield []
            return
        with features_at(network, head) as read:
            yield read

    @torch.no_grad()
    def unequal(self, batch: Tensor) -> dict[int, float]:
        """Pictures (B, 3, H, W) of which :attr:`model` gives other logits than those that name: place -> largest difference.

        None where one network names and gives the gradients.
        """
        if self._program is None or self._program.naming is self.model:
            return {}
        found = torch.cat([self.model(part).float().cpu() for part in self.passes(batch)])
        off = (found - self.logits(batch)).abs().amax(dim=1).tolist()
        return {place: one for place, one in enumerate(off) if not one <= EXACT}

    @torch.inference_mode()
    def features(self, batch: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) float32, on the CPU: what the head of the network reads.

        With a gallery the network's output; where there is no linear layer, the logits.
        """
        parts = []
        for part in self.passes(batch):
            with self.reading_features() as read:
                logits = self.naming_network(part)
            parts.append(read[-1] if read else logits.float().cpu())
        return torch.cat(parts)

    def frame_logits(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) normalised whole frames -> (B, K) float32, on the CPU: what is added to the logits of boxes in them.

        Only where there is a :attr:`frame_head`.
        """
        assert self.frame_head is not None
        return torch.from_numpy(self.frame_head.scores(self.features(frames).numpy()))

    def embed(self, batch: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) of unit length, on the CPU: what pictures are compared by.

        It is not whitened: see :attr:`whitening`.
        """
        return F.normalize(self.features(batch), dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, K) logits -> (B, len(names)) calibrated probabilities: softmax(logits / temperature), summed by name."""
        by_class = torch.softmax(logits.double() / self.spec.temperature, dim=1)
        return by_class.new_zeros(len(logits), len(self.names)).index_add_(1, self._name_of_class, by_class)

    def strongest_class(self, logits: Tensor) -> Tensor:
        """(B, K) logits -> (B,) int64: the strongest class of each image's most probable name."""
        best = self.probabilities(logits).argmax(dim=1).tolist()
        return self.best_class(logits, [self.names[place] for place in best])

    def best_class(self, logits: Tensor, names: Sequence[str]) -> Tensor:
        """Strongest class of each image among those that bear the name it was given.

        Args:
            logits: (B, K).
            names: B names, each one of `names`.

        Returns:
            (B,) int64 class indices.
        """
        wanted = torch.tensor([self._place[name] for name in names])
        return logits.masked_fill(self._name_of_class[None] != wanted[:, None], float("-inf")).argmax(dim=1)


def load_model(url: str, device: str = "cpu") -> Classifier:
    """Load a model package.

    Args:
        url: fsspec URL or path of the package's folder.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto`` (CUDA where there is one).

    Raises:
        InputError: no valid package there, or weights that do not match its sha256 or architecture.
        RunError: the device is not there, or this build of torch does not support it.
    """
    return Classifier(read_package(url), resolve_device(device))


_loading = threading.Lock()


def shared_model(url: str, device: str, digest: str) -> Classifier:
    """The package loaded once per process and device, also where many threads call at once.

    Args:
        url: fsspec URL or path of the package's folder.
        device: as for :func:`load_model`.
        digest: of the package that the run was planned with.

    Raises:
        InputError: as :func:`load_model`; also when the package changed since the run was planned.
    """
    with _loading:
        return _load_once(url, device, digest)


@lru_cache(maxsize=8)
def _load_once(url: str, device: str, digest: str) -> Classifier:
    classifier = load_model(url, device)
    if classifier.digest != digest:
        raise InputError(f"model {url}: changed while the run was going on; start the run again")
    return classifier


def resolve_device(device: str) -> torch.device:
    """``auto`` and names to a device that really computes.

    Raises:
        InputError: not a device name.
        RunError: no such device here, or this build of torch has no code for it.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device}: not a device; use auto, cpu, cuda or cuda:N") from error
    if resolved.type == "cpu":
        return resolved
    try:
        # One small convolution: a GPU whose architecture this build lacks fails here, once, and not on every image.
        probe = torch.ones(1, 3, 8, 8, device=resolved)
        nn.functional.conv2d(probe, torch.ones(1, 3, 3, 3, device=resolved)).sum().item()
    except (RuntimeError, AssertionError) as error:
        raise RunError(
            f"device {device}: cannot compute ({first_line(error)}); "
            "set classify.device to cpu, or install a torch build for this GPU"
        ) from error
    return resolved
