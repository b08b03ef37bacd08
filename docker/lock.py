"""Writes the images' lock files out of requirements.lock: what runs, without what only tests; torch by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["BUILD", "TORCH", "WORKER", "blocks", "main"]

ROOT = Path(__file__).resolve().parents[1]
TORCH = re.compile(r"(torch|torchvision|triton|nvidia-.*|cuda-.*)")
"""Packages of the second lock: 5 of 6 GB, needed by workers only, and from another index for CPU images."""

WORKER = re.compile(r"sympy|mpmath|networkx|timm|huggingface-hub|hf-xet")
"""What nothing but torch and timm needs: 110 MB that a server does without."""

BUILD = ("build", "packaging", "pyproject-hooks", "setuptools")
"""What `python -m build --no-isolation` needs."""


def blocks(text: str) -> dict[str, str]:
    """Requirements of a lock file by name, each with its marker and hashes.

    A package that is locked at several versions, each for some versions of Python, has all its requirements in one text.
    """
    found: dict[str, str] = {}
    for block in re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t]+[^\n]*\n)*", text, flags=re.MULTILINE):
        name = block.split("==")[0].strip().lower()
        found[name] = found.get(name, "") + block
    return found


def main() -> int:
    """Resolve the runtime's requirements within requirements.lock, and write the images' lock files."""
    uv = Path(sys.executable).with_name("uv")
    command = [
        uv, "pip", "compile", "--quiet", "pyproject.toml", "--extra", "relay", "--extra", "postgres", "--extra", "timm",
        "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header",
        "--no-annotate", "--constraint", "requirements.lock",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    held = blocks((ROOT / "requirements.lock").read_text())
    needed = blocks(done.stdout)
    head = "# Written by `python docker/lock.py` out of requirements.lock; do not edit.\n"
    chosen = {
        "base.lock": [name for name in needed if not TORCH.fullmatch(name) and not WORKER.fullmatch(name)],
        "worker.lock": [name for name in needed if WORKER.fullmatch(name)],
        "torch.lock": [name for name in needed if TORCH.fullmatch(name)],
        "build.lock": list(BUILD),
    }
    for file, names in chosen.items():
        (ROOT / "docker" / file).write_text(head + "".join(held[name] for name in sorted(names)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
