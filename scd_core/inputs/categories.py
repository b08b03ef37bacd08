"""What a detector's category of a box means: an animal, a person, a vehicle or nothing, in the usual spellings."""

from __future__ import annotations

import re
import unicodedata

from scd_core.names import Category

__all__ = ["CATEGORIES", "NOTHING", "category_of"]

CATEGORIES: dict[Category, frozenset[str]] = {
    Category.ANIMAL: frozenset({"animal", "animalia", "wildlife", "fauna"}),
    Category.PERSON: frozenset({
        "person", "people", "human", "homo", "homo sapiens", "homo species", "man", "men", "woman", "women", "child", "children",
        "boy", "girl", "pedestrian", "hiker", "walker", "jogger", "runner", "cyclist", "biker", "rider", "visitor",
        "tourist", "hunter", "poacher", "ranger", "herder", "farmer", "worker", "staff", "crew", "field crew", "intruder",
        "setup", "setup pickup", "pickup setup", "camera setup",
        "mensch", "menschen", "personen", "humain", "personne", "homme", "femme", "persona", "humano", "humana", "gente",
        "pessoa", "mens", "mensen", "persoon", "umano", "umana", "menneske", "manniska", "ihminen",
    }),
    Category.VEHICLE: frozenset({
        "vehicle", "car", "truck", "lorry", "lorries", "bus", "buses", "minibus", "van", "pickup truck", "jeep", "suv", "bike",
        "bicycle", "ebike", "e bike", "motorbike", "motorcycle", "moped", "scooter", "quad", "quad bike", "atv", "utv",
        "all terrain vehicle", "tractor", "trailer", "excavator", "snowmobile", "boat", "ship", "canoe", "kayak", "train",
        "aircraft", "airplane", "aeroplane", "helicopter", "drone",
        "fahrzeug", "fahrzeuge", "auto", "lkw", "pkw", "fahrrad", "motorrad", "vehicule", "voiture", "camion", "velo", "moto",
        "vehiculo", "coche", "carro", "bicicleta", "veiculo", "veicolo", "voertuig", "fiets", "kjoretoy", "fordon",
    }),
}  # fmt: skip
"""Names that mean the same, without accents, in small letters and the singular: the one list of what is hidden."""

NOTHING = frozenset({
    "empty", "blank", "none", "nothing", "no animal", "no detection", "no object", "no cv result", "background", "vide", "leer",
    "vacio", "vazio",
})  # fmt: skip
"""Names of a box that holds nothing, in the same form."""

_SURE = {
    "person": Category.PERSON, "people": Category.PERSON, "human": Category.PERSON, "pedestrian": Category.PERSON,
    "hiker": Category.PERSON, "vehicle": Category.VEHICLE, "car": Category.VEHICLE, "truck": Category.VEHICLE,
    "bicycle": Category.VEHICLE, "motorcycle": Category.VEHICLE, "motorbike": Category.VEHICLE,
}  # fmt: skip
"""Words that hide a box also beside others (``human, male``); `boat` is not one of them, for the boat-billed heron."""
_WORD = re.compile(r"[^\W_]+")
_NOT = frozenset({"no", "non", "not", "without"})


def category_of(text: str) -> str:
    """What a category means: a member of :class:`~scd_core.names.Category`, a name of :data:`NOTHING`, or itself in small
    letters where it is neither, such as a species.

    Case, plural, accents and separators of words do not count. Of a taxonomy such as SpeciesNet's (``...;homo;sapiens;human``)
    the last name counts.

    >>> [category_of(text) for text in ("Humans", "Homo_sapiens", "véhicule", "Panthera pardus", "blank")]
    ['person', 'person', 'vehicle', 'panthera pardus', 'blank']
    """
    named = next((part for part in reversed(text.split(";")) if part.strip()), "")
    words = [_singular(word) for word in _WORD.findall(_plain(named))]
    for whole in (" ".join(_WORD.findall(_plain(named))), " ".join(words)):
        if whole in NOTHING:
            return whole
        for category, names in CATEGORIES.items():
            if whole in names:
                return str(category)
    if _NOT.isdisjoint(words):
        if words[:2] == ["homo", "sapien"]:
            return str(Category.PERSON)
        found = {_SURE[word] for word in words if word in _SURE}
        if found:
            return str(Category.PERSON if Category.PERSON in found else Category.VEHICLE)
    return named.strip().lower()


def _plain(text: str) -> str:
    """Small letters without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith("ss") and word != "bus" else word
