"""Huge but legal pictures, many at once, stay within the stated memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.media.test_fuzz import BOUND_MEGABYTES

CODE = """
import json, sys
from benchmarks.memory import forget_peak, peak_mib
from scd_core.config import MediaConfig
from scd_core.media import describe_objects, iter_images, list_objects
config = MediaConfig()
start = forget_peak()
rows = describe_objects(list_objects(sys.argv[1], config), sys.argv[1], config)
sizes = [image.size for _, image in iter_images(rows, sys.argv[1], config, target_for=224)]
used = peak_mib() - start
print(json.dumps({"megabytes": used, "statuses": [row["status"] for row in rows], "sizes": sizes}))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_huge_pictures_at_once(tmp_path):
    Image.MAX_IMAGE_PIXELS, limit = None, Image.MAX_IMAGE_PIXELS
    try:
        grey = Image.fromarray(np.zeros((12_000, 12_000), np.uint8))
        grey.save(tmp_path / "grey.png", compress_level=1)
        grey.convert("P").save(tmp_path / "palette.png", compress_level=1)
        Image.fromarray(np.zeros((12_000, 12_000), np.uint16)).save(tmp_path / "deep.png", compress_level=1)
        grey.save(tmp_path / "grey.jpg", quality=50)
        grey.convert("RGB").save(tmp_path / "colour.png", compress_level=1)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    for name in ("palette.png", "deep.png", "colour.png"):
        data = (tmp_path / name).read_bytes()
        for copy in range(2):
            (tmp_path / f"{copy}_{name}").write_bytes(data)
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["statuses"] == ["ok"] * 11
    assert all(448 <= min(size) < 1500 for size in found["sizes"]), found["sizes"]
    assert found["megabytes"] < BOUND_MEGABYTES, found
