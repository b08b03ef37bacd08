"""`individuals count`: pairs to answer, answers, the count beside the naive one, and answers that cannot be used."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit.individuals.counting import count_individuals
from scd_core.audit.individuals.listing import list_individuals
from scd_core.errors import InputError
from scd_core.inputs.pairs import PairAnswer, read_pair_answers
from tests.audit.audit_builder import AuditBuilder, label

TRUE = ["Luna", "Nyx", "Odin", "Tara", "Ygg"]


def audit_of(folder, *, n=60, embeddings=True):
    """Five animals; the model has a second name for Luna, calls Odin Nyx, and knows neither Tara nor Ygg."""
    audit = AuditBuilder(folder / "out", individuals=["Luna", "Moon", "Nyx"])
    noise, axes = np.random.default_rng(0), np.eye(5)
    truth = {}
    for number in range(n):
        who = number % 5
        name = ("Luna" if number % 2 else "Moon", "Nyx", "Nyx", "unknown", "unknown")[who]
        candidate = f"candidate-{who}{number % 3}" if name == "unknown" else None
        target = audit.predict(f"{number:03}.jpg", name, 0.95, candidate_id=candidate)
        truth[target] = TRUE[who]
        stamp = {key: audit.tables["predictions"][-1][key] for key in (*audit.stamp, "target_id", "media_id")}
        features = (axes[who] + noise.normal(0, 0.1, 5)).astype(np.float16).tolist()
        if embeddings:
            audit.tables.setdefault("embeddings", []).append(stamp | {"embedding_space": "s", "features": features})
        if name == "unknown":
            more = {
                "candidate_id": candidate,
                "version": 1,
                "change": "new",
                "embedding_space": "s",
            }
            audit.tables.setdefault("candidates", []).append(stamp | more)
    return str(audit.write()), truth


def answered(found, truth, wrong=()):
    rows = list(csv.DictReader(io.StringIO(found.pairs)))
    return [
        PairAnswer(
            row["target_id"],
            row["other_target_id"],
            (truth[row["target_id"]] == truth[row["other_target_id"]]) != (number in wrong),
            f"line {number}",
        )
        for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize("embeddings", [True, False])
def test_the_count_comes_from_answers_and_not_from_names(tmp_path, embeddings) -> None:
    out, truth = audit_of(tmp_path, embeddings=embeddings)
    found, given = count_individuals(out), []
    assert found.count is None and found.naive == 9
    while found.n_pairs:
        given += answered(found, truth)
        found = count_individuals(out, given)
    assert found.n_answers <= 200
    assert (found.count.estimate, found.count.low, found.count.high) == (5.0, 5, 5), "all 60 pictures are told apart"
    assert (found.n_ghosts, found.n_losses) == (1 + 2 + 2, 1), "Moon, and three candidates each; Odin is called Nyx"
    assert found.naive - found.n_ghosts + found.n_losses == 5


def test_names_that_people_gave_are_answers(tmp_path) -> None:
    out, truth = audit_of(tmp_path)
    label(out, tmp_path, {target.removeprefix("id-"): name for target, name in truth.items()})
    found = count_individuals(out)
    assert (found.count.estimate, found.n_answers, found.n_pairs) == (5.0, 0, 0)


def test_a_label_does_not_change_who_is_drawn(tmp_path) -> None:
    out, _ = audit_of(tmp_path)
    before = count_individuals(out).pairs
    label(out, tmp_path, {"000.jpg": "Luna"})
    assert count_individuals(out).pairs == before


def test_answers_of_pictures_that_are_gone_do_not_count_and_are_told(tmp_path) -> None:
    out, _ = audit_of(tmp_path)
    found = count_individuals(out, [PairAnswer("id-gone", "id-000.jpg", True, "line 2")])
    assert (found.n_answers, found.n_gone) == (0, 1)
    assert any("does not hold" in line for line in found.notes())


def test_answers_to_pairs_that_were_not_drawn_are_used(tmp_path) -> None:
    out, truth = audit_of(tmp_path)
    targets = sorted(truth)
    given = [PairAnswer(targets[0], other, truth[targets[0]] == truth[other], "line") for other in targets[1:]]
    assert count_individuals(out, given).n_answers == 59


def test_a_wrong_answer_that_contradicts_others_is_refused(tmp_path) -> None:
    out, truth = audit_of(tmp_path)
    first, second, third = [target for target in sorted(truth) if truth[target] == "Luna"][:3]
    given = [
        PairAnswer(first, second, True, "answers a.csv: line 2"),
        PairAnswer(second, third, True, "answers a.csv: line 3"),
        PairAnswer(third, first, False, "answers a.csv: line 4"),
    ]
    with pytest.raises(InputError, match="line 4"):
        count_individuals(out, given)


def test_the_listing_is_as_before(tmp_path) -> None:
    out, _ = audit_of(tmp_path)
    rows = {row["individual_id"]: row for row in list_individuals(out).to_pylist()}
    assert len(rows) == 9 and rows["Nyx"]["n_pictures"] == 24


def test_the_command_writes_pairs_once_reads_answers_and_prints_the_count(tmp_path) -> None:
    out, truth = audit_of(tmp_path)
    pairs = tmp_path / "pairs.csv"
    assert CliRunner().invoke(app, ["individuals", "count", out, "--pairs", str(pairs)]).exit_code == 0
    rows = list(csv.DictReader(pairs.open()))
    assert len(rows) == 25 and {row["same"] for row in rows} == {""}
    again = CliRunner().invoke(app, ["individuals", "count", out, "--pairs", str(pairs)])
    assert isinstance(again.exception, InputError) or again.exit_code == 2, "answers are never overwritten"
    for row in rows:
        row["same"] = "Yes" if truth[row["target_id"]] == truth[row["other_target_id"]] else "no"
    with pairs.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    done = CliRunner().invoke(app, ["individuals", "count", out, "--answers", str(pairs), "--format", "csv"])
    assert done.exit_code == 0, done.output
    row = next(csv.DictReader(io.StringIO(done.stdout)))
    assert row["n_answers"] == "25" and float(row["low"]) <= 5 <= float(row["high"])


def test_pictures_that_are_drawn_can_be_named_instead(tmp_path) -> None:
    out, truth = audit_of(tmp_path, n=300)
    drawn = tmp_path / "drawn.csv"
    done = CliRunner().invoke(app, ["individuals", "count", out, "--drawn", str(drawn)])
    assert done.exit_code == 0, done.output
    files = [row["file"] for row in csv.DictReader(drawn.open())]
    assert len(files) == 200
    label(out, tmp_path, {file: truth[f"id-{file}"] for file in files})
    found = count_individuals(out)
    assert found.n_drawn >= 200 and (found.count.estimate, found.count.low) == (5.0, 5)


@pytest.mark.parametrize(("same", "said"), [("maybe", "line 2: same 'maybe'"), ("yes", "two different pictures")])
def test_answers_that_cannot_be_read_are_refused_with_their_line(tmp_path, same, said) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"target_id,other_target_id,same\na,{'b' if same == 'maybe' else 'a'},{same}\n")
    with pytest.raises(InputError, match=said):
        read_pair_answers(str(file))


def test_lines_without_an_answer_are_no_answers(tmp_path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("target_id,other_target_id,same\na,b,\na,c,unclear\n")
    assert [one.is_same for one in read_pair_answers(str(file))] == [None]
