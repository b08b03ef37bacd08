"""Taxonomies: lineages in labels of SpeciesNet and in packages, and how two names are related."""

from __future__ import annotations

import pytest

from scd_core.inputs.taxonomy import Taxonomy, lineage_of, lineages_of, relations_of

CATS = "mammalia;carnivora;felidae"
LABELS = {
    "leopard": f"u1;{CATS};panthera;pardus;leopard",
    "lion": f"u2;{CATS};panthera;leo;lion",
    "ocelot": f"u3;{CATS};leopardus;pardalis;ocelot",
    "red fox": "u4;mammalia;carnivora;canidae;vulpes;vulpes;red fox",
    "roe deer": "u5;mammalia;cetartiodactyla;cervidae;capreolus;capreolus;roe deer",
    "common buzzard": "u6;aves;accipitriformes;accipitridae;buteo;buteo;common buzzard",
    "panthera species": f"u7;{CATS};panthera;;panthera species",
    "cat family": f"u8;{CATS};;;cat family",
    "mammal": "u9;mammalia;;;;;mammal",
    "animal": "1f689929-883d-4dae-958c-3d57ab5b6c16;;;;;;animal",
}


@pytest.fixture(scope="module")
def species() -> Taxonomy:
    return Taxonomy(lineages_of(LABELS.items()))


@pytest.mark.parametrize(
    ("true", "called", "relation"),
    [
        ("leopard", "lion", "genus"),
        ("leopard", "ocelot", "family"),
        ("leopard", "red fox", "order"),
        ("leopard", "roe deer", "class"),
        ("leopard", "common buzzard", "apart"),
        ("leopard", "cat family", "less_exact"),
        ("leopard", "panthera species", "less_exact"),
        ("leopard", "Felidae", "less_exact"),
        ("leopard", "felidae family", "less_exact"),
        ("leopard", "animal", "less_exact"),
        ("unknown", "animal", "less_exact"),
        ("cat family", "leopard", "more_exact"),
        ("red fox", "cat family", "order"),
        ("Panthera pardus", "leopard", "same"),
        ("Leopard", "leopard", "same"),
        ("panthera_pardus", "lion", "genus"),
        ("leopard", "leopard", None),
        ("snow leopard", "leopard", None),
        ("blank", "animal", None),
        ("unknown", "leopard", None),
        ("leopard", "unknown", None),
    ],
)
def test_how_a_name_is_related_to_the_true_one(species: Taxonomy, true: str, called: str, relation: str | None) -> None:
    assert species.relation(true, called) == relation


def test_labels_without_a_place() -> None:
    for label in (
        "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank",
        "e2895ed5-780b-48f6-8a11-9e27cb594511;;;;;;vehicle",
        "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human",
        "f2efdae9-efb8-48fb-8a91-eccf79ab4ffb;" + ";".join(["no cv result"] * 6),
        "leopard",
        "a;b;c",
    ):
        assert lineage_of(label) is None, label


def test_a_name_with_two_places_has_none() -> None:
    two = [("goat", "a;mammalia;cetartiodactyla;bovidae;capra;hircus;goat"), ("goat", "b;aves;x;y;z;w;goat")]
    assert lineages_of(two) == {}


def test_individuals_of_a_package_are_of_species() -> None:
    found = Taxonomy(relations_of({"Luna": "jaguar", "Tara": "jaguar", "Nyx": "ocelot"}))
    assert found.relation("Luna", "Tara") == "species"
    assert found.relation("Luna", "Nyx") == "apart"
    assert found.relation("Luna", "jaguar") == "less_exact"
    assert found.relation("Luna", "animal") == "less_exact" and found.relation("Luna", "unknown") is None


def test_without_a_taxonomy_nothing_is_related() -> None:
    assert Taxonomy({}).relation("leopard", "animal") is None


def test_gaps_leave_a_relation_open() -> None:
    found = Taxonomy({"a": "mammalia;;felidae;;", "b": "mammalia;carnivora;;;"})
    assert found.relation("a", "b") is None
