"""Taxonomies of names: where a species stands, and how the name that was given is related to the true one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from scd_core.inputs.categories import category_of
from scd_core.names import UNKNOWN, Category, Relation

__all__ = ["RANKS", "Taxonomy", "lineage_of", "lineages_of", "relations_of"]

RANKS = ("class", "order", "family", "genus", "species", "individual")
"""Ranks of a lineage, the widest first."""
_SHARED = (Relation.CLASS, Relation.ORDER, Relation.FAMILY, Relation.GENUS, Relation.SPECIES)
"""Relation of two names that part below each rank."""
_RANK_WORDS = frozenset({"class", "order", "family", "genus", "species", "sp", "sp.", "spp", "spp."})
"""Words behind the name of a rank: ``felidae family``, ``panthera species``."""
_SPECIES = RANKS.index("species")

Lineage = tuple[str, ...]
"""A value per rank, "" where it has none."""


def lineage_of(label: str) -> str | None:
    """The lineage in a label of SpeciesNet (``uuid;class;order;family;genus;species;common name``), as tables hold it.

    None where the label has another form, or names nothing, a person or a vehicle. A mere animal has a lineage without ranks.

    >>> lineage_of("1f689929-883d;mammalia;carnivora;canidae;vulpes;vulpes;red fox")
    'mammalia;carnivora;canidae;vulpes;vulpes'
    >>> lineage_of("1f689929-883d;;;;;;animal"), lineage_of("f1856211-cfb7;;;;;;blank"), lineage_of("red fox")
    (';;;;', None, None)
    """
    parts = [part.strip().lower() for part in label.split(";")]
    if len(parts) != 7:
        return None
    ranks = parts[1:6]
    if not any(ranks):
        return ";".join(ranks) if category_of(parts[6]) == Category.ANIMAL else None
    if category_of(label) == Category.PERSON or parts[1] == parts[6]:  # "no cv result" in every field
        return None
    return ";".join(ranks)


def lineages_of(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name -> lineage, of names and the labels of SpeciesNet that they stand in; a name with two lineages has none."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name, label in names:
        lineage = lineage_of(label)
        if lineage is not None and found.setdefault(name, lineage) != lineage:
            twice.add(name)
    return {name: lineage for name, lineage in found.items() if name not in twice}


def relations_of(relations: Mapping[str, str]) -> dict[str, str]:
    """Name -> lineage, from what a package states of each of its names: its species or group, or a label of SpeciesNet.

    >>> relations_of({"Luna": "jaguar", "fox": "uuid;mammalia;carnivora;canidae;vulpes;vulpes;red fox"})
    {'Luna': ';;;;jaguar;Luna', 'fox': 'mammalia;carnivora;canidae;vulpes;vulpes'}
    """
    found = {}
    for name, group in relations.items():
        is_label = group.count(";") == len(RANKS)
        lineage = lineage_of(group) if is_label else f";;;;{group.replace(';', ',').strip()};{name}"
        if lineage is not None:
            found[name] = lineage
    return found


class Taxonomy:
    """Names and their lineages."""

    def __init__(self, lineages: Mapping[str, str]) -> None:
        """Lineages of names, ranks separated by ``;``."""
        self._by_name = {_plain(name): _ranks(lineage) for name, lineage in lineages.items()}

    def __bool__(self) -> bool:
        """Whether there is a name with a lineage."""
        return bool(self._by_name)

    @cached_property
    def _by_rank(self) -> dict[str, Lineage | None]:
        """Value of a rank, or genus and species -> lineage down to it; None where it stands in several places."""
        found: dict[str, Lineage | None] = {}
        for ranks in self._by_name.values():
            for place, value in enumerate(ranks[: _SPECIES + 1]):
                is_binomial = place == _SPECIES and bool(ranks[_SPECIES - 1])
                key = f"{ranks[_SPECIES - 1]} {value}" if is_binomial else value
                if value:
                    lineage = ranks[: place + 1] + ("",) * (len(RANKS) - place - 1)
                    found[key] = lineage if found.get(key, lineage) == lineage else None
        return found

    def find(self, name: str) -> Lineage | None:
        """The lineage of a name as people and tools write it: a name of the taxonomy, a scientific name, or that of a rank.

        None where the name is in none of these ways there.
        """
        if not self:
            return None
        plain = _plain(name)
        if (known := self._by_name.get(plain)) is not None:
            return known
        if category_of(plain) == Category.ANIMAL:
            return ("",) * len(RANKS)
        words = plain.split()
        if (ranked := self._by_rank.get(plain)) is not None or len(words) != 2 or words[1] not in _RANK_WORDS:
            return ranked
        return self._by_rank.get(words[0])

    def agree(self, one: str, other: str) -> bool:
        """Whether two names do not contradict each other: the same in other words, or one a group that the other is of."""
        return self.relation(one, other) in (Relation.SAME, Relation.LESS_EXACT, Relation.MORE_EXACT)

    def relation(self, true: str, called: str) -> Relation | None:
        """How a name that was given is related to the true one; None where they are one word, or one is not in the taxonomy."""
        if true == called:
            return None
        given = self.find(called)
        if true == UNKNOWN:  # a picture of an animal that nobody knows is that of an animal
            return Relation.LESS_EXACT if given is not None and not any(given) else None
        right = self.find(true)
        return None if right is None or given is None else _relation(right, given)


def _relation(right: Lineage, given: Lineage) -> Relation | None:
    """None where gaps in the two leave it open."""
    shared = None
    for place, (one, other) in enumerate(zip(right, given, strict=True)):
        if one and other and one != other:
            return Relation.APART if shared is None else _SHARED[shared]
        if one and other:
            shared = place
    if right == given:
        return Relation.SAME
    if all(not other or other == one for one, other in zip(right, given, strict=True)):
        return Relation.LESS_EXACT
    return (
        Relation.MORE_EXACT if all(not one or other == one for one, other in zip(right, given, strict=True)) else None
    )


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _ranks(lineage: str) -> Lineage:
    parts = [_plain(part) for part in lineage.split(";")][: len(RANKS)]
    return (*parts, *("",) * (len(RANKS) - len(parts)))
