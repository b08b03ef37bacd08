"""Names that are one animal and names that are two: planted ones are listed, and nothing where nothing is wrong."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit.individuals.listing import list_individuals
from scd_core.audit.individuals.suspects import MAX_Q, find_suspects, list_suspects
from tests.audit.audit_builder import START, AuditBuilder, label

NAMES = [f"i{number:02}" for number in range(12)]


def pictures(seed=0, n=14, names=NAMES, size=64, noise=0.5):
    """(N, D) features: directions of individuals, what all have in common, and noise that is larger in some."""
    draw = np.random.default_rng(seed)
    axes = draw.normal(size=(len(names), size))
    rough = np.linspace(2.0, 0.2, size)
    found = [axis + 1.0 + noise * 2 * rough * draw.normal(size=(n, size)) for axis in axes]
    return np.concatenate(found).astype(np.float32), [name for name in names for _ in range(n)]


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_is_wrong_nothing_is_suspected(seed) -> None:
    assert find_suspects(*pictures(seed)) == []


@pytest.mark.parametrize("seed", range(5))
def test_one_animal_under_two_names_is_suspected_and_nothing_else(seed) -> None:
    features, names = pictures(seed)
    names = ["again" if name == "i03" and place % 2 else name for place, name in enumerate(names)]
    (one,) = find_suspects(features, names)
    assert (one.kind, set(one.names)) == ("one_animal", {"again", "i03"}) and one.ratio > 0.7
    assert [names[place] for place in one.first] == ["again"] * 7


@pytest.mark.parametrize("seed", range(5))
def test_two_animals_under_one_name_are_suspected_and_their_pictures_told_apart(seed) -> None:
    features, names = pictures(seed)
    truth = list(names)
    names = ["i03" if name == "i04" else name for name in names]
    one, *others = find_suspects(features, names)
    assert (one.kind, one.names) == ("two_animals", ("i03",)) and one.ratio < 0.4
    assert len(others) <= 1, "a fifth may be by chance"
    assert {frozenset(truth[place] for place in side) for side in (one.first, one.second)} == {
        frozenset({"i03"}),
        frozenset({"i04"}),
    }


def test_left_and_right_of_one_animal_are_not_two_animals() -> None:
    features, names = pictures(1)
    flanks = ["left" if place % 2 else "right" for place in range(len(names))]
    turned = features.copy()
    of_i03 = [place for place, name in enumerate(names) if name == "i03" and flanks[place] == "left"]
    turned[of_i03] += 3 * np.random.default_rng(9).normal(size=features.shape[1])
    assert [one.names for one in find_suspects(turned, names)] == [("i03",)], "without flanks it looks like two"
    assert find_suspects(turned, names, flanks) == []


def test_two_animals_are_seen_within_one_flank() -> None:
    features, names = pictures(1)
    flanks = ["left" if place % 2 else "right" for place in range(len(names))]
    names = ["i03" if name == "i04" else name for name in names]
    assert [one.names for one in find_suspects(features, names, flanks)] == [("i03",)]


@pytest.mark.parametrize("case", ["one_picture_each", "equal_pictures", "few_names", "zeros", "nothing"])
def test_bad_input_suspects_nothing_and_raises_nothing(case) -> None:
    features, names = pictures()
    if case == "one_picture_each":
        names = [f"n{place}" for place in range(len(names))]
    elif case == "equal_pictures":
        features = np.repeat(features[::14], 14, axis=0)
    elif case == "few_names":
        features, names = features[:28], names[:28]
    elif case == "zeros":
        features = np.zeros_like(features)
    else:
        features, names = features[:0], []
    assert find_suspects(features, names) == []


def audit_of(folder, names, features, *, called=None):
    audit = AuditBuilder(folder / "out", individuals=sorted(set(names)))
    for place in range(len(names)):
        at = START + timedelta(hours=5 * place)
        audit.predict(f"{place:03}.jpg", (called or names)[place], 0.9, camera=f"C{place % 3}", at=at)
        stamp = {key: audit.tables["predictions"][-1][key] for key in (*audit.stamp, "target_id", "media_id")}
        row = stamp | {"embedding_space": "s", "features": features[place].tolist()}
        audit.tables.setdefault("embeddings", []).append(row)
    return str(audit.write())


def test_the_audit_lists_a_suspicion_with_pictures_cameras_and_times_of_both_sides(tmp_path) -> None:
    features, names = pictures()
    again = ["again" if name == "i03" and place % 2 else name for place, name in enumerate(names)]
    out = audit_of(tmp_path, again, features)
    label(out, tmp_path, {"043.jpg": "again"})
    (row,) = list_suspects(out)
    assert (row["suspicion"], row["names"]) == ("one_animal", "again, i03") and row["q_value"] <= MAX_Q
    assert row["first_pictures"] == "043.jpg, 045.jpg, 047.jpg" and row["first_n_labelled"] == 1
    assert row["first_n_visits"] == 7 and row["first_cameras"] == "C0, C1, C2"
    assert row["second_seen"].startswith(str(START + timedelta(hours=5 * 42)))
    told = {one["individual_id"]: one["suspected"] for one in list_individuals(out).to_pylist()}
    assert told["again"].startswith("one animal with i03? (q ") and told["i03"].startswith("one animal with again?")
    assert {name for name, words in told.items() if words} == {"again", "i03"}
    done = CliRunner().invoke(app, ["individuals", "suspects", out, "--format", "csv"])
    assert next(csv.DictReader(io.StringIO(done.stdout)))["names"] == "again, i03"


def test_names_that_people_gave_count_before_the_models(tmp_path) -> None:
    features, names = pictures()
    called = ["again" if name == "i03" and place % 2 else name for place, name in enumerate(names)]
    out = audit_of(tmp_path, names, features, called=called)
    label(out, tmp_path, {f"{place:03}.jpg": name for place, name in enumerate(names) if name == "i03"})
    assert list_suspects(out) == []
    done = CliRunner().invoke(app, ["individuals", "suspects", out])
    assert done.exit_code == 0 and "no two of 12 names" in done.output


def test_an_audit_without_embeddings_suspects_nothing(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    audit.predict("a.jpg", "Luna")
    assert list_suspects(str(audit.write())) == []


def test_pictures_of_one_visit_count_once(tmp_path) -> None:
    features, names = pictures()
    audit = AuditBuilder(tmp_path / "out", individuals=NAMES)
    for place, name in enumerate(names):
        for frame in range(3):
            audit.predict(f"{place:03}-{frame}.jpg", name, event=f"e{place}")
            stamp = {key: audit.tables["predictions"][-1][key] for key in (*audit.stamp, "target_id", "media_id")}
            row = stamp | {"embedding_space": "s", "features": features[place].tolist()}
            audit.tables.setdefault("embeddings", []).append(row)
    assert list_suspects(str(audit.write())) == []
