"""What a detector's category of a box means: an animal, a person, a vehicle or nothing, in the usual spellings."""

from __future__ import annotations

import re

from scd_core.inputs.text import plain_letters
from scd_core.names import Category

__all__ = ["CATEGORIES", "NAMELESS", "NOTHING", "category_of", "is_nameless"]

CATEGORIES: dict[Category, frozenset[str]] = {
    Category.ANIMAL: frozenset({"animal", "animalia", "wildlife", "fauna"}),
    Category.PERSON: frozenset({
        "person", "people", "human", "homo", "homo sapiens", "homo species", "man", "men", "woman", "women", "child",
        "children", "boy", "girl", "kid", "baby", "babies", "adult", "pedestrian", "hiker", "walker", "dog walker",
        "jogger", "runner", "skier", "cyclist", "bicyclist", "motorcyclist", "biker", "rider", "horse rider", "horserider",
        "horseback rider", "driver", "visitor", "tourist", "hunter", "jager", "poacher", "ranger", "researcher", "villager",
        "soldier", "herder", "herdsman", "herdsmen", "shepherd", "farmer", "fisherman", "fishermen", "fisherwoman",
        "fisherwomen", "worker", "staff", "crew", "field crew", "intruder", "setup", "setup pickup", "pickup setup",
        "camera setup", "mensch", "menschen", "personen", "mann", "frau", "kind", "wanderer", "humain", "personne", "homme",
        "femme", "enfant", "persona", "humano", "humana", "hombre", "mujer", "gente", "pessoa", "homem", "homens", "mulher",
        "mens", "mensen", "persoon", "umano", "umana", "uomo", "uomini", "persone", "menneske", "manniska", "manniskor",
        "chasseur", "cazador", "cacador", "cacciatore",
        "ser humano", "radfahrer", "spazierganger", "reiter", "kinder", "forster", "waldarbeiter", "promeneur", "randonneur",
        "randonneuse", "paseante", "senderista", "escursionista", "wandelaar", "police", "policeman", "policemen", "military",
        "personnel", "team", "camera trapper", "bike rider", "osoby", "ludzie", "clovek", "lide", "人物",
        "ihminen", "osoba", "insan", "manusia", "человек", "люди", "人", "人类", "人間", "行人", "사람",
    }),
    Category.VEHICLE: frozenset({
        "vehicle", "car", "truck", "lorry", "lorries", "bus", "buses", "minibus", "van", "pickup truck", "jeep", "suv",
        "bike", "bicycle", "ebike", "e bike", "motorbike", "motorcycle", "moped", "scooter", "quad", "quad bike",
        "quadbike", "atv", "utv", "all terrain vehicle", "tractor", "trailer", "excavator", "snowmobile", "boat",
        "motorboat", "ship", "canoe", "kayak", "train", "aircraft", "airplane", "aeroplane", "helicopter", "drone",
        "fahrzeug", "fahrzeuge", "auto", "lkw", "pkw", "fahrrad", "motorrad", "traktor", "boot", "vehicule", "voiture",
        "camion", "velo", "moto", "tracteur", "bateau", "vehiculo", "coche", "carro", "bicicleta", "veiculo", "veicolo",
        "voertuig", "fiets", "kjoretoy", "fordon", "автомобиль", "машина", "车", "车辆", "車", "차량",
    }),
}  # fmt: skip
"""Names that mean the same, without accents, in small letters and the singular: the one list of what is hidden."""

NOTHING = frozenset({
    "empty", "blank", "none", "nothing", "no animal", "no detection", "no object", "no cv result", "background", "vide", "leer",
    "vacio", "vazio", "vuoto", "nichts", "rien", "nada", "niente", "kein tier", "false trigger", "false positive", "misfire",
})  # fmt: skip
"""Names of a box that holds nothing, in the same form."""

NAMELESS = frozenset({
    "unknown", "unclassified", "unidentified", "undetermined", "unspecified", "unlabeled", "unlabelled", "unsure", "uncertain",
    "unclear", "not sure", "n a", "na", "nan", "null", "undefined", "misc", "miscellaneous",
    "other", "object", "unbekannt", "inconnu", "desconocido", "desconhecido",
})  # fmt: skip
"""Names that say nothing of what is in a box, in the same form; so do two of them (``unknown object``)."""

_SURE = dict.fromkeys(
    (
        "person", "people", "human", "man", "men", "woman", "women", "pedestrian", "hiker", "jogger", "cyclist", "bicyclist",
        "motorcyclist", "tourist", "poacher", "ranger", "researcher", "villager", "soldier", "fisherman", "fishermen",
        "mensch", "menschen", "personne", "persona", "pessoa", "humain", "humano", "osoba",
    ),
    Category.PERSON,
) | dict.fromkeys(
    ("vehicle", "car", "truck", "bicycle", "motorcycle", "motorbike", "tractor", "suv", "atv"), Category.VEHICLE
)  # fmt: skip
"""Words that hide a box also beside others (``human, male``); `boat` is not one of them, for the boat-billed heron, nor is
`walker` or `rider`. A `fisher` alone is the marten."""
_LOOKS = re.compile(r"[^\W_]+-(?:faced|headed|eared|eating|eater|like|sized)\b")
"""What an animal looks like or does: the man-eating tiger, a human-faced bug."""
_WORD = re.compile(r"[^\W_]+")
_NOT = frozenset({"no", "non", "not", "without"})


def category_of(text: str) -> str:
    """What a category means: a member of :class:`~scd_core.names.Category`, a name of :data:`NOTHING` or
    :data:`NAMELESS`, or itself in small letters where it is none of these, such as a species.

    Case, plural, accents and separators of words do not count. Of a taxonomy such as SpeciesNet's (``...;homo;sapiens;human``)
    the last name counts, and the genus Homo.

    >>> [category_of(text) for text in ("Humans", "Homo_sapiens", "véhicule", "Panthera pardus", "blank")]
    ['person', 'person', 'vehicle', 'panthera pardus', 'blank']
    """
    named = next((part for part in reversed(text.split(";")) if part.strip()), "")
    if ";" in text and "homo" in (part.strip().lower() for part in text.split(";")):
        return str(Category.PERSON)
    words = [_singular(word) for word in _WORD.findall(plain_letters(named))]
    for whole in (" ".join(_WORD.findall(plain_letters(named))), " ".join(words)):
        if whole in NOTHING or (any(map(str.isalpha, whole)) and is_nameless(whole)):
            return whole
        for category, names in CATEGORIES.items():
            if whole in names:
                return str(category)
    if _NOT.isdisjoint(words):
        if words[:2] == ["homo", "sapien"]:
            return str(Category.PERSON)
        apart = (_singular(word) for word in _WORD.findall(_LOOKS.sub(" ", plain_letters(named))))
        found = {_SURE[word] for word in apart if word in _SURE}
        if found:
            return str(Category.PERSON if Category.PERSON in found else Category.VEHICLE)
    return named.strip().lower()


def is_nameless(category: str) -> bool:
    """Whether a category of :func:`category_of` does not say what is in the box, so that it may be a person.

    It is a number that has no name, or consists of words such as `unknown` alone.

    >>> [is_nameless(category) for category in ("7", "unknown", "unknown object", "unknown bird", "leopard")]
    [True, True, True, False, False]
    """
    words = [word for word in category.split() if not word.isdigit()]
    return not any(map(str.isalpha, category)) or category in NAMELESS or all(word in NAMELESS for word in words)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith("ss") and word != "bus" else word
