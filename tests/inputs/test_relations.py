"""A file of what each name of a model is: the forms that are read, and mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scd_core.errors import InputError
from scd_core.inputs.relations import check_relations, read_relations
from scd_core.inputs.taxonomy import Taxonomy, relations_of

CATS = "mammalia;carnivora;felidae"
LINES = f"1;{CATS};panthera;pardus;leopard\n2;{CATS};;;cat family\n\n3;aves;;;;;bird\n4;;;;;;blank\n"
RANKED = """label,class,order,family,genus,species
leopard,mammalia,carnivora,felidae,Panthera,pardus
cat family,mammalia,carnivora,felidae,,
lion,mammalia,carnivora,felidae,Panthera,Panthera leo
tiger,mammalia,carnivora,felidae,,Panthera tigris
blank,,,,,
"""


def read(folder: Path, text: str) -> dict[str, str]:
    (folder / "r.txt").write_text(text)
    return read_relations(str(folder / "r.txt"))


def test_ranks_of_a_table_place_names_as_labels_of_speciesnet_do(tmp_path: Path) -> None:
    found = Taxonomy(relations_of(read(tmp_path, RANKED)))
    assert found.relation("leopard", "lion") == "genus" == found.relation("lion", "tiger")
    assert found.relation("leopard", "cat family") == "less_exact"
    assert found.relation("Panthera leo", "lion") == "same"
    assert found.find("blank") is None
    lines = Taxonomy(relations_of(read(tmp_path, LINES)))
    assert lines.relation("leopard", "cat family") == "less_exact" and lines.relation("leopard", "bird") == "apart"
    assert lines.find("blank") is None


def test_individuals_have_a_species(tmp_path: Path) -> None:
    for text in (
        "label;species\nLuna;jaguar\nTara;jaguar\nNyx;ocelot\n",
        json.dumps({"Luna": "jaguar", "Tara": "jaguar", "Nyx": "ocelot"}),
    ):
        stated = read(tmp_path, text)
        assert stated == {"Luna": "jaguar", "Tara": "jaguar", "Nyx": "ocelot"}
        found = Taxonomy(relations_of(stated))
        assert (found.relation("Luna", "Tara"), found.relation("Luna", "Nyx")) == ("species", "apart")
        assert check_relations(stated, ("Luna", "Nyx", "Zoe")) == (
            "the taxonomy has 2 of 3 names; without: `Zoe`, whose errors have no relation"
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,group\nLuna,jaguar\nLuna,ocelot\n", "line 3: 'Luna' has two places, 'jaguar' and 'ocelot'"),
        ("label,weight\nLuna,3\n", "has no column `group` or `species`"),
        ("animal,group\nLuna,jaguar\n", "line 2: has no name; expected a column label"),
        ("label,group\nLuna,\n", "has no name with a species or group"),
        ("label,family\nLuna,fel;idae\n", "line 2: a name or rank has a semicolon"),
        ('{"Luna": {"a": 1}}', "'Luna': expected its species or group as text"),
        ('{"Luna": ' + "[" * 100_000, "not JSON"),
        ("{" * 100_000, "not JSON"),
        ("label,group\nLuna," + "x" * 600, "has more than 500 letters"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_labels_without_a_place_and_two_of_one_species_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has none of the 2 labels, such as 'Luna'"):
        check_relations({"jaguar": "cats"}, ("Luna", "Nyx"))
    stated = read(tmp_path, "label,genus,species\nLuna,panthera,onca\nNyx,panthera,onca\n")
    with pytest.raises(
        InputError, match="'Luna' and 'Nyx' are of one species, so that one called the other would be right"
    ):
        check_relations(stated, ("Luna", "Nyx"))
    assert check_relations(stated, ("Luna", "Luna")) == "the taxonomy has 1 of 1 names"
