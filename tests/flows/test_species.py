"""An audit of SpeciesNet's `predictions.json` as SpeciesNet writes it: related species, roll-ups, persons and empty pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scd_core.audit import read_table

CATS = "mammalia;carnivora;felidae"
LEOPARD = f"u-leopard;{CATS};panthera;pardus;leopard"
LION = f"u-lion;{CATS};panthera;leo;lion"
BUZZARD = "u-buzzard;aves;accipitriformes;accipitridae;buteo;buteo;common buzzard"
FAMILY = f"df8514b0-10a5-411f-8ed6-0f415e8153a3;{CATS};;;cat family"
ANIMAL = "1f689929-883d-4dae-958c-3d57ab5b6c16;;;;;;animal"
BLANK = "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank"
VEHICLE = "e2895ed5-780b-48f6-8a11-9e27cb594511;;;;;;vehicle"
HUMAN = "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human"


def entry(file: str, prediction: str, source: str = "classifier") -> dict[str, Any]:
    return {
        "filepath": file,
        "classifications": {"classes": [LEOPARD, LION, FAMILY, BUZZARD], "scores": [0.5, 0.3, 0.1, 0.05]},
        "detections": [{"category": "1", "label": "animal", "conf": 0.97, "bbox": [0.2, 0.2, 0.4, 0.4]}],
        "prediction": prediction,
        "prediction_score": 0.8,
        "prediction_source": source,
        "model_version": "4.0.1a",
    }


def test_related_species_are_told_apart_and_roll_ups_are_right(
    card: Path, tmp_path: Path, trapaudit: Callable[..., Any]
) -> None:
    with (card / "labels.csv").open() as file:
        files = [row["file"] for row in csv.DictReader(file)]
    cases = [
        (LEOPARD, "leopard", "correct", None),
        (LION, "leopard", "shift", "genus"),
        (BUZZARD, "leopard", "shift", "apart"),
        (FAMILY, "leopard", "correct", "less_exact"),
        (ANIMAL, "leopard", "correct", "less_exact"),
        (LEOPARD, "Panthera pardus", "correct", "same"),
        (BLANK, "blank", "correct", None),
        (BLANK, "leopard", "shift", None),
        (ANIMAL, "blank", "combination", None),
        (HUMAN, "leopard", "exclusion", None),
        (VEHICLE, "leopard", "exclusion", None),
    ]
    assert len(files) >= len(cases)
    sources = {FAMILY: "classifier+rollup_to_family", ANIMAL: "classifier+rollup_to_kingdom"}
    entries = [
        entry(file, label, sources.get(label, "classifier")) for file, (label, *_) in zip(files, cases, strict=False)
    ]
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps({"predictions": entries}))
    labels = tmp_path / "labels.csv"
    rows = [(file, true) for file, (_, true, *_) in zip(files, cases, strict=False)]
    labels.write_text("file,individual_id\n" + "".join(f"{file},{true}\n" for file, true in rows))
    done = trapaudit("run", card / "images", "--predictions", predictions, "--labels", labels, "--out", tmp_path / "a")
    assert done.code == 0, done.err
    out = str(tmp_path / "a")
    media = read_table(out, "media").set_index("media_id")["file"]
    errors = read_table(out, "errors").query("is_labelled").astype(object)
    errors = errors.where(errors.notna(), None)
    found = {media[row["media_id"]]: (row["error_type"], row["relation"]) for _, row in errors.iterrows()}
    assert found == {file: case[2:] for file, case in zip(files, cases, strict=False)}
    names = read_table(out, "predictions").set_index("media_id")["predicted_id"]
    assert not {"human", "person", "vehicle"} & set(names.dropna())
    page = (tmp_path / "a" / "report" / "index.html").read_text()
    assert "Of the right names 1 is the same in other words, 2 are less exact than the label." in page
    assert "1 is of one genus, 1 is of no common rank with the true one; of 2 the taxonomy does not hold both." in page


def test_a_package_with_a_taxonomy_tells_related_species_apart(
    card: Path, tmp_path: Path, trapaudit: Callable[..., Any]
) -> None:
    """A network packed with ranks of its names: a roll-up is right, an error has its relation."""
    import torch
    from safetensors.torch import save_file

    from scd_core.identify.architectures import build_network

    torch.manual_seed(0)
    names = ("leopard", "cat family", "lion", "common buzzard")
    save_file(build_network("scd_core/small_cnn", len(names), {"width": 4}).state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "names.txt").write_text("\n".join(names))
    (tmp_path / "ranks.csv").write_text(
        "label,class,order,family,genus,species\nleopard,mammalia,carnivora,felidae,panthera,pardus\n"
        "cat family,mammalia,carnivora,felidae,,\nlion,mammalia,carnivora,felidae,panthera,leo\n"
        "common buzzard,aves,accipitriformes,accipitridae,buteo,buteo\nserval,mammalia,carnivora,felidae,leptailurus,serval\n"
    )
    done = trapaudit(
        "model", "pack", tmp_path / "m", "--architecture", "scd_core/small_cnn", "--architecture-args", '{"width": 4}',
        "--weights", tmp_path / "w.safetensors", "--labels", tmp_path / "names.txt", "--relations", tmp_path / "ranks.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "the taxonomy has 4 of 4 names" in done.out
    first = str(tmp_path / "first")
    (tmp_path / "c.yaml").write_text("triage: {budget: 0, control_rate: 0.0}\n")
    run = ("run", card / "images", "--model", tmp_path / "m", "--config", tmp_path / "c.yaml", "--out")
    assert trapaudit(*run, first).code == 0
    files = read_table(first, "media").set_index("media_id")["file"]
    named = {files[row["media_id"]]: row["predicted_id"] for _, row in read_table(first, "predictions").iterrows()}
    # Labels are chosen by what the network calls each picture, for it has random weights.
    relation = {
        ("leopard", "lion"): ("shift", "genus"), ("leopard", "cat family"): ("correct", "less_exact"),
        ("serval", "lion"): ("combination", "family"), ("serval", "cat family"): ("correct", "less_exact"),
        ("leopard", "common buzzard"): ("shift", "apart"), ("serval", "leopard"): ("combination", "family"),
        ("serval", "common buzzard"): ("combination", "apart"), ("lion", "leopard"): ("shift", "genus"),
    }  # fmt: skip
    cases: dict[str, tuple[str, str]] = {}
    for number, (file, called) in enumerate(sorted(named.items())):
        fitting = [true for true, name in relation if name == called]
        cases[file] = (fitting[number % len(fitting)], called)
    (tmp_path / "labels.csv").write_text(
        "file,individual_id\n" + "".join(f"{file},{true}\n" for file, (true, _) in cases.items())
    )
    done = trapaudit("labels", "import", first, tmp_path / "labels.csv", "--allow-new-names")
    assert done.code == 0, done.err
    assert trapaudit("report", first).code == 0
    errors = read_table(first, "errors").query("is_labelled")
    found = {files[row["media_id"]]: (row["error_type"], row["relation"]) for _, row in errors.iterrows()}
    assert found == {file: relation[case] for file, case in cases.items()}
