"""One training of a network's last blocks: seeded, resumable after each epoch, with the batch normalisation frozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scd_core.identify.architectures import features_at
from scd_core.identify.class_means import Head
from scd_core.improve.heads import Floats
from scd_core.improve.tune_network import Parted
from scd_core.improve.tune_state import TuneWork

__all__ = ["Trainer", "TuneSettings"]

_PASS = 64
"""Pictures that are scored at once."""
_LARGEST_STEP = 1.0
"""Norm that the gradient of a step is cut to."""
_MOMENTUM = 0.9
_DECAY = 5e-4


@dataclass(frozen=True)
class TuneSettings:
    """How the last blocks are trained."""

    blocks: int = 3
    """Last blocks of the network that learn beside the head."""
    epochs: int = 8
    """Passes over the pictures that the schedule is made for; training stops where left-out cameras are named best."""
    copies: int = 7
    """Copies of each picture, one of which is learnt from in each epoch."""
    batch_size: int = 32
    learning_rate: float = 0.01
    """At the first step; it falls to 0 as a cosine."""
    seed: int = 0


@dataclass(frozen=True)
class Trainer:
    """Trains the last part of a network on what its first part gives."""

    parted: Parted
    given: NDArray[np.float16]
    """(N, copies, ...) what the first part gives of each copy; the first copy is the picture as it is."""
    truth: NDArray[np.int64]
    """(N,)."""
    settings: TuneSettings
    work: TuneWork
    device: torch.device
    start: dict[str, Tensor]
    """Tensors that learn, as the model has them."""

    def train(
        self,
        name: str,
        learnt: NDArray[np.int64],
        head: Head,
        n_epochs: int,
        scored: NDArray[np.int64] | None = None,
        scored_from: int = 1,
        progress: Callable[[int], None] = lambda n: None,
    ) -> tuple[dict[str, Tensor], list[Floats]]:
        """Train from the model's weights and a head; goes on where an earlier call was stopped.

        Args:
            name: of this training; its random numbers are its own.
            learnt: targets that are learnt from.
            head: that the training begins with.
            n_epochs: when it stops, at most as many as the settings have.
            scored: targets that are scored after each epoch; None for none.
            scored_from: number of the first epoch after which they are, from 1.
            progress: called with the number of pictures learnt from.

        Returns:
            The tensors that learn, by name (none of a training with `scored` that an earlier call had finished), and the (M, K)
            scores of `scored` after each epoch.

        Raises:
            RunError: the state cannot be written.
        """
        tensors = self._begin(head)
        rate = self.settings.learning_rate
        optimizer = torch.optim.SGD(tensors.values(), rate, momentum=_MOMENTUM, weight_decay=_DECAY)
        scores: list[Floats] = []
        done = 0
        kept = self.work.load(name)
        if kept is not None:
            done, scores = int(kept["epoch"]), [one.numpy() for one in kept["scores"]]
            if "tensors" not in kept:  # finished
                return {}, scores
            with torch.no_grad():
                for key, tensor in tensors.items():
                    tensor.copy_(kept["tensors"][key])
            optimizer.load_state_dict(kept["optimizer"])
        for epoch in range(done, n_epochs):
            self._pass(name, epoch, learnt, optimizer, progress)
            if scored is not None and epoch + 1 >= scored_from:
                scores.append(self.scores(scored))
            state = {"epoch": epoch + 1, "scores": [torch.from_numpy(one) for one in scores]}
            if epoch + 1 < n_epochs or scored is None:
                state |= {"tensors": _detached(tensors), "optimizer": optimizer.state_dict()}
            self.work.save(name, state)
        return _detached(tensors), scores

    @torch.no_grad()
    def scores(self, places: NDArray[np.int64]) -> Floats:
        """(M, K) scores of pictures as they are."""
        parts = [self.parted.last(self._read(places[at : at + _PASS], 0)) for at in range(0, len(places), _PASS)]
        return torch.cat(parts).float().cpu().numpy() if parts else np.zeros((0, 0), np.float32)

    @torch.no_grad()
    def features(self, places: NDArray[np.int64], number: int = 0) -> Floats:
        """(M, D) what the head reads of a copy of each picture; by the model's own weights before any training."""
        with features_at(self.parted.last, self.parted.head) as read:
            for at in range(0, len(places), _PASS):
                self.parted.last(self._read(places[at : at + _PASS], number))
        return torch.cat(read).numpy()

    @torch.no_grad()
    def _begin(self, head: Head) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = dict(self.parted.learning())
        new = {"weight": head.weight, "bias": head.bias}
        for key, tensor in tensors.items():
            layer, _, own = key.rpartition(".")
            tensor.copy_(torch.from_numpy(new[own]) if layer == self.parted.head else self.start[key])
        return tensors

    def _pass(
        self,
        name: str,
        epoch: int,
        learnt: NDArray[np.int64],
        optimizer: torch.optim.Optimizer,
        progress: Callable[[int], None],
    ) -> None:
        """One epoch; its order and copies depend on the seed, the training's name and its number alone."""
        rng = np.random.default_rng([self.settings.seed, epoch, *name.encode()])
        counts = np.bincount(self.truth[learnt], minlength=int(self.truth.max()) + 1)
        weight = torch.from_numpy(len(learnt) / (np.maximum(counts, 1) * (counts > 0).sum())).float().to(self.device)
        order = rng.permutation(learnt)
        copies = rng.integers(self.given.shape[1], size=len(order))
        n_steps = math.ceil(len(order) / self.settings.batch_size)
        for step in range(n_steps):
            part = slice(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
            share = (epoch * n_steps + step) / (self.settings.epochs * n_steps)
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * (1 + math.cos(math.pi * share)) / 2
            truth = torch.from_numpy(self.truth[order[part]]).to(self.device)
            loss = F.cross_entropy(self.parted.last(self._read(order[part], copies[part])), truth, weight)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], _LARGEST_STEP)
            optimizer.step()
            progress(len(truth))

    def _read(self, places: NDArray[np.int64], copies: NDArray[np.int64] | int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.given[places, copies])).to(self.device).float()


def _detached(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: one.detach().cpu().clone() for key, one in tensors.items()}
