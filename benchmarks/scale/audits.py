"""What the benchmark of large audits measures: pictures, audits in processes of their own, a Prefect server that counts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.common import ROOT
from scd_core.identify import pack_model
from scd_core.identify.architectures import build_network

__all__ = ["NETWORK", "Audits", "counted_server"]

NETWORK = "torchvision/mobilenet_v2"
_SETTLE_SECONDS = 5.0


class Audits:
    """Pictures and audits of them, each audit in a process of its own.

    Args:
        folder: for pictures and audits.
        seed: of pictures and weights.
        url: address of Prefect's server.

    Attributes:
        model: package that audits use unless they are given another one.
    """

    def __init__(self, folder: Path, seed: int, url: str) -> None:
        self.folder, self.url = folder, url
        self._random = np.random.default_rng(seed)
        self._number = 0
        torch.manual_seed(seed)
        self.model = str(self._model())

    def pictures(self, n_images: int, size: tuple[int, int]) -> Path:
        """A SOURCE of pictures, no two alike: smooth colours with the grain of a camera."""
        self._number += 1
        source = self.folder / f"pictures{self._number}"
        camera = source / "C01" / "d1"
        camera.mkdir(parents=True)
        width, height = size
        grain = self._random.normal(0, 6, (height, width, 1)).astype(np.float32)
        for number in range(n_images):
            colours = Image.fromarray(self._random.integers(0, 255, (12, 16, 3), dtype=np.uint8))
            smooth = np.asarray(colours.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
            shifted = np.roll(grain, int(self._random.integers(0, width)), axis=1)
            pixels = np.clip(smooth + shifted, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(camera / f"IMG_{number:06}.JPG", quality=88)
        return source

    def run(
        self, source: Path, *, runner: str, shard_size: int, workers: int = 0, latency: float = 0.0,
        warm: Path | None = None, model: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """One audit in a process of its own, without masks."""
        self._number += 1
        order = {
            "source": str(source), "model": model or self.model, "out": str(self.folder / f"out{self._number}"), "runner": runner,
            "workers": workers, "latency": latency, "warm": str(warm) if warm else None,
            "config": {
                "media": {"shard_size": shard_size}, "classify": {"device": "cpu"},
                "triage": {"min_probability": 0, "min_margin": 0, "control_rate": 0, "budget": 0},
            },
        }  # fmt: skip
        environment = os.environ | {
            "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "INFO",
            "PREFECT_API_URL": f"{self.url}/api", "PREFECT_HOME": str(self.folder / "home"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale.run", json.dumps(order)],
            cwd=ROOT, capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the audit failed: {done.stderr[-3000:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _model(self) -> Path:
        """A package with random weights of 100 classes: speed does not depend on the weights."""
        weights = self.folder / "weights.safetensors"
        save_file(build_network(NETWORK, 100).state_dict(), weights)
        labels = [f"individual {number}" for number in range(100)]
        pack_model(self.folder / "model", architecture=NETWORK, weights=weights, labels=labels)
        return self.folder / "model"


@contextmanager
def counted_server(home: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """A Prefect server on SQLite that counts: its address, and a function that gives its counts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "PREFECT_HOME": str(home), "PREFECT_API_URL": f"{url}/api", "DO_NOT_TRACK": "1", "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.scale.server", str(port)], cwd=ROOT, env=environment)

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
            return json.load(answer)

    def count() -> dict[str, Any]:
        time.sleep(_SETTLE_SECONDS)  # clients send logs and events from queues of their own
        return get("/count")

    try:
        until = time.monotonic() + 180
        while True:
            try:
                get("/api/health")
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("Prefect's server did not start") from None
                time.sleep(0.5)
        yield url, count
    finally:
        server.terminate()
        server.wait(30)
