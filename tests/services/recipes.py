"""The recipes that docs/deploying.md shows, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["recipe"]

_TEXT = (Path(__file__).resolve().parents[2] / "docs" / "deploying.md").read_text()


def recipe(title: str) -> str:
    """The Python block that opens with the comment `# title`."""
    (found,) = re.findall(rf"```python\n(# {re.escape(title)}\n.*?)```", _TEXT, re.DOTALL)
    return str(found)
