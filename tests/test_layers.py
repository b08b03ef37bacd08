"""Imports go one way: deployments -> flows -> tasks -> scd_core, and scd_core never imports Prefect."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("scd_core", "tasks", "flows", "deployments")


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"tests", "benchmarks"}
    if layer == "scd_core":
        above |= {"prefect", "prefect_ray", "ray"}
    for path in sorted((ROOT / layer).rglob("*.py")):
        assert not imported(path) & above, f"{path.relative_to(ROOT)} imports {imported(path) & above}"


def test_the_check_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    """The fixture of the test above: a forbidden import that only `ast.walk` finds."""
    (tmp_path / "bad.py").write_text("def f():\n    from prefect.tasks import task\n    return task\n")
    assert "prefect" in imported(tmp_path / "bad.py")


def test_help_imports_neither_torch_nor_prefect() -> None:
    code = (
        "import sys; sys.argv = ['trapaudit', '--help']\n"
        "from deployments.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'prefect', 'pandas', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]")


def test_flow_files_stay_small() -> None:
    for path in (ROOT / "flows").glob("*.py"):
        assert len(path.read_text().splitlines()) < 150, path.name
