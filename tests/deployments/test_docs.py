"""docs/deploying.md against the code: variables, defaults, options and files."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from typer.testing import CliRunner

from deployments.cli.operations import register_commands
from deployments.relay.settings import RelaySettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "deploying.md").read_text()


def test_the_table_of_the_relays_variables_is_true() -> None:
    rows = re.findall(r"^\| `TRAPAUDIT_RELAY_([A-Z_]+)`(?:, (?:or )?`_([A-Z_]+)`)? \|([^|]*)\|", TEXT, re.MULTILINE)
    named = set()
    for first, second, defaults in rows:
        fields = [name.lower() for name in (first, second) if name and name != "SECRET_FILE"]
        named |= set(fields)
        given = [text.strip() for text in defaults.split(",") if text.strip() and not text.strip().startswith("`")]
        if given:
            assert given == [f"{RelaySettings.model_fields[field].default:g}" if isinstance(
                RelaySettings.model_fields[field].default, float) else str(RelaySettings.model_fields[field].default)
                for field in fields]  # fmt: skip
    unlisted = {"max_held", "emit_timeout_seconds", "retry_seconds"}
    assert named | unlisted == set(RelaySettings.model_fields)


def test_every_option_shown_is_one(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    register_commands(app)
    known = "".join(CliRunner().invoke(app, [name, "--help"]).output for name in ("deploy", "doctor"))
    shown = set(re.findall(r"`(--[a-z-]+)", TEXT))
    shown |= {
        word for line in TEXT.splitlines() if line.startswith("trapaudit ") for word in re.findall(r"--[a-z-]+", line)
    }
    assert len(shown) > 8
    for option in shown:
        assert option in known, option


def test_every_file_named_is_there() -> None:
    for path in re.findall(r"(?:docker|deployments)/[A-Za-z0-9_.-]+\.[a-z]+", TEXT):
        assert (ROOT / path).exists(), path
