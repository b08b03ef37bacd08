"""Individuals of an OUT of an older version, which has neither embeddings nor a table of candidates."""

from __future__ import annotations

import csv
import io

import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit.individuals.adding import add_candidate
from scd_core.audit.individuals.grouped import group_batch
from scd_core.errors import InputError
from scd_core.scenes import packaged_model
from scd_core.tables.schema import table_from_rows
from tests.audit.audit_builder import AuditBuilder

MODEL = str(packaged_model("clean"))


@pytest.fixture
def older(tmp_path) -> str:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    for number in range(12):
        is_known = number % 3
        name, candidate = ("Luna", None) if is_known else ("unknown", "candidate-0123456789ab")
        audit.predict(f"{number:02}.jpg", name, candidate_id=candidate)
    return str(audit.write())


def test_known_ones_and_candidates_are_listed(older) -> None:
    done = CliRunner().invoke(app, ["individuals", older, "--format", "csv"])
    assert done.exit_code == 0, done.output
    rows = {row["individual_id"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert {name: int(row["n_pictures"]) for name, row in rows.items()} == {"Luna": 8, "candidate-0123456789ab": 4}
    assert {row["resembles"] for row in rows.values()} == {row["suspected"] for row in rows.values()} == {""}


def test_what_cannot_be_compared_is_not_said_to_be_unlike(older) -> None:
    done = CliRunner().invoke(app, ["individuals", "suspects", older])
    assert done.exit_code == 0
    words = " ".join(done.output.split())
    assert "no named picture has features that could be compared" in words and "chance" not in words


def test_a_candidate_without_pictures_to_compare_gets_no_name_and_one_line_says_why(older, tmp_path) -> None:
    with pytest.raises(
        InputError, match=r"holds no candidate with pictures that can be compared.*run the audit again"
    ) as caught:
        add_candidate(older, "0123", "Zita", MODEL, str(tmp_path / "new"))
    assert "\n" not in str(caught.value) and not (tmp_path / "new").exists()


def test_the_next_batch_is_grouped_beside_it(older) -> None:
    more = {"prediction_status": "ok", "probability": 0.4, "predicted_id": "unknown", "is_flagged": False}
    more |= {"run_id": "r", "batch_key": "b2", "model_digest": "m", "is_control": False, "is_selected": False}
    rows = [
        more
        | {"target_id": f"n{place}", "media_id": f"n{place}", "content_number": place, "embedding": [1.0, 0.1 * place]}
        for place in range(2)
    ]
    embeddings = table_from_rows("embeddings", [])
    found = group_batch(older, MODEL, table_from_rows("predictions", rows), embeddings).to_pylist()
    assert {row["target_id"] for row in found} == {"n0", "n1"} and {row["change"] for row in found} == {"new"}


def test_too_few_names_are_said_to_be_too_few(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    for number in range(12):
        audit.predict(f"{number:02}.jpg", ("Luna", "Nyx")[number % 2])
        stamp = {key: audit.tables["predictions"][-1][key] for key in (*audit.stamp, "target_id", "media_id")}
        row = stamp | {"embedding_space": "s", "features": [1.0, float(number % 5), 0.5]}
        audit.tables.setdefault("embeddings", []).append(row)
    done = CliRunner().invoke(app, ["individuals", "suspects", str(audit.write())])
    words = " ".join(done.output.split())
    assert "2 names have four visits or more, too few to show what chance gives" in words
