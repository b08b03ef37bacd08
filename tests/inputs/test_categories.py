"""Categories of boxes: what is an animal, what is hidden and what holds nothing, in the spellings that tools write."""

from __future__ import annotations

import pytest

from scd_core.inputs.categories import CATEGORIES, NAMELESS, NOTHING, category_of, is_nameless
from scd_core.inputs.detections import Detection

PERSONS = [
    "Persona a caballo", "Mensch mit Hund", "Personne à cheval", "Ser humano", "Spaziergänger", "Randonneurs",
    "Police", "人物", "Kinder",
    "person", "Person", " PERSONS ", "human", "Humans", "people", "Homo sapiens", "homo_sapiens", "HOMO-SAPIENS", "Homo sapiens "
    "sapiens", "human, male", "person (hiker)", "Mensch", "persona", "pessoa", "personne", "Människa", "Hunters", "setup_pickup",
    "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human", "vehicle with people",
    "Researcher", "researchers", "motorcyclist", "Bicyclists", "dog walker", "Dog-Walkers", "rider", "horse_rider", "fisherman",
    "Fishermen", "fisherwoman", "villager", "soldiers", "kid", "baby", "babies", "Adults", "tourist (2)", "Park Ranger",
    "poacher", "farmer", "herder", "pedestrian", "worker", "driver", "man with dog", "Menschen", "personas", "pessoas",
    "humano", "humains", "homme", "Jäger", "chasseurs", "人", "사람", "Человек",
]  # fmt: skip
VEHICLES = [
    "vehicle", "Vehicles", "car", "Cars", "truck", "bike", "BIKES", "bicycle", "motor vehicle", "Motorbike", "bus", "ATV",
    "Véhicule", "e2895ed5-780b-48f6-8a11-9e27cb594511;;;;;;vehicle", "Fahrzeug", "vehículo", "all-terrain vehicle", "vehicle (1)",
    "motorbike", "quad", "Tractor", "tractors", "boat", "Boats", "van", "SUV", "buses", "quad bike", "red tractor", "車",
]  # fmt: skip
ANIMALS = [
    "animal", "Animals", "wildlife", "leopard", "Panthera pardus", "unknown animal", "bird", "boat-billed heron", "cargo rat",
    "non-human primate", "Manul", "carp", "domestic horse", "1dcb;mammalia;carnivora;felidae;panthera;pardus;leopard", "Luna",
    "sanglier", "Зубр", "熊",
    "human-faced stink bug", "man-eating tiger", "fisher", "manatee", "babirusa", "vanga", "kidney vetch", "unidentified bird",
    "other mammal", "Walker's hare", "water buffalo",
]  # fmt: skip
EMPTY = [
    "empty",
    "Blank",
    "NONE",
    "nothing",
    "no animal",
    "no_detection",
    "nichts",
    "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank",
]


def of(text: str) -> Detection:
    return Detection("0", category_of(text), 0.9, (0.1, 0.1, 0.2, 0.2))


@pytest.mark.parametrize("text", PERSONS)
def test_persons(text: str) -> None:
    assert of(text).category == "person" and of(text).is_redacted and not of(text).is_animal


@pytest.mark.parametrize("text", VEHICLES)
def test_vehicles(text: str) -> None:
    assert of(text).category == "vehicle" and of(text).is_redacted and not of(text).is_animal


@pytest.mark.parametrize("text", ANIMALS)
def test_every_other_name_is_an_animal(text: str) -> None:
    assert of(text).is_animal and not of(text).is_redacted


@pytest.mark.parametrize("text", EMPTY)
def test_names_of_nothing(text: str) -> None:
    assert not of(text).is_animal and not of(text).is_redacted


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "33.0", "-", "?", "unclassified", "Unknown", "UNIDENTIFIED", "other", "Others", "objects", "unsure",
        "unknown object", "unknown (1)", "n/a", "NA", "NaN", "undefined", "Misc", "1dcb;;;;;;unknown",
    ],
)  # fmt: skip
def test_what_has_no_name_may_be_anybody(text: str) -> None:
    assert of(text).is_redacted and not of(text).is_animal


def test_the_lists_are_in_the_form_in_which_names_are_compared() -> None:
    for category, names in CATEGORIES.items():
        assert {category_of(name) for name in names} == {category}
        assert {category_of(f"{name.upper().replace(' ', '_')} ") for name in names} == {category}
    assert {category_of(name) for name in NOTHING} == NOTHING
    assert {category_of(name) for name in NAMELESS} == NAMELESS and all(map(is_nameless, NAMELESS))
