"""A taxonomy of a model's names, handed in as a file: what each name is, for the `relations` of a package."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from scd_core.errors import InputError, first_line
from scd_core.inputs.csv import has_column, read_csv
from scd_core.inputs.taxonomy import RANKS, lineage_of
from scd_core.inputs.text import read_text

__all__ = ["check_relations", "read_relations"]

_RANKS = RANKS[:5]
_NAMES = ("label", "name", "individual_id", "common_name")
_GROUPS = ("group", "species")
_MOST = 100_000
"""Names of a file: the taxonomy of SpeciesNet has a few thousand."""
_LONGEST = 500


def read_relations(url: str) -> dict[str, str]:
    """Name -> its species or group, or a label as of SpeciesNet (``uuid;class;order;family;genus;species;common name``).

    Args:
        url: one of these, by its content:

            - CSV with a column ``label`` and one ``group`` or ``species``;
            - CSV with ``label`` and some of ``class, order, family, genus, species``; a name of a group has no narrower ranks;
            - labels of SpeciesNet, one a line: its names are the common ones;
            - JSON, an object of name -> group or such a label.

    Raises:
        InputError: the file cannot be read, has another form, or has two places for one name; the message has the line.
    """
    where = f"relations {url}"
    text = read_text(url, "relations")
    found: dict[str, str] = {}
    for place, name, value in _pairs(text, where):
        name = unicodedata.normalize("NFC", name)
        if max(len(name), len(value)) > _LONGEST:
            raise InputError(f"{place}: {name[:40]!r} or what it is has more than {_LONGEST} letters")
        if name and value and found.setdefault(name, value) != value:
            raise InputError(f"{place}: {name[:60]!r} has two places, {found[name][:80]!r} and {value[:80]!r}")
        if len(found) > _MOST:
            raise InputError(f"{place}: more than {_MOST} names")
    if not found:
        raise InputError(f"{where}: has no name with a species or group")
    return found


def check_relations(relations: Mapping[str, str], labels: Sequence[str]) -> str:
    """Hold a taxonomy against the labels of a model; what it has of them, in a sentence.

    Raises:
        InputError: it has none of them, or two of them at one species, of which one called the other would be right.
    """
    names = tuple(dict.fromkeys(labels))
    missing = [name for name in names if name not in relations and lineage_of(name) is None]
    if len(missing) == len(names):
        raise InputError(
            f"relations: has none of the {len(names)} labels, such as {names[0][:60]!r}; names must be written as the labels are"
        )
    at: dict[str, str] = {}
    for name in names:
        lineage = lineage_of(relations.get(name, "")) or ""
        first = at.setdefault(lineage, name)
        if first != name and lineage.split(";")[-1]:
            raise InputError(
                f"relations: {first[:60]!r} and {name[:60]!r} are of one species, so that one called the other would be right; "
                "for individuals state the species alone, in a column `group`"
            )
    shown = ", ".join(f"`{name[:60]}`" for name in missing[:5]) + (" ..." if len(missing) > 5 else "")
    lacking = f"; without: {shown}, whose errors have no relation" if missing else ""
    return f"the taxonomy has {len(names) - len(missing)} of {len(names)} names{lacking}"


def _pairs(text: str, where: str) -> Iterator[tuple[str, str, str]]:
    """Place in the file, name, and what it is."""
    if text.lstrip().startswith("{"):
        yield from _of_json(text, where)
        return
    lines = [line.strip() for line in text.splitlines()]
    if any(lines) and all(line.count(";") == len(RANKS) and "," not in line for line in lines if line):
        for number, line in enumerate(lines, 1):
            parts = [part.strip() for part in line.split(";")]
            if line and lineage_of(line) is not None:
                yield f"{where}: line {number}", parts[6], line
        return
    yield from _of_csv(text, where)


def _of_json(text: str, where: str) -> Iterator[tuple[str, str, str]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({first_line(error)})") from error
    for name, value in content.items():
        if not isinstance(value, str):
            raise InputError(f"{where}: {name[:60]!r}: expected its species or group as text")
        yield where, name.strip(), value.strip()


def _of_csv(text: str, where: str) -> Iterator[tuple[str, str, str]]:
    has_ranks = any(has_column(text, rank) for rank in _RANKS[:-1])
    for line in read_csv(text, where):
        name = line.first(*_NAMES)
        if name is None:
            raise InputError(f"{line.where}: has no name; expected a column {', '.join(_NAMES[:-1])} or {_NAMES[-1]}")
        if not has_ranks:
            if not any(has_column(text, group) for group in _GROUPS):
                raise InputError(f"{where}: has no column `group` or `species`, and none of {', '.join(_RANKS[:-1])}")
            yield line.where, name, line.first(*_GROUPS) or ""
            continue
        ranks = [line[rank] for rank in _RANKS]
        if any(";" in one for one in (*ranks, name)):
            raise InputError(f"{line.where}: a name or rank has a semicolon")
        yield line.where, name, f";{';'.join(_epithet(ranks))};{name}" if any(ranks) else ""


def _epithet(ranks: list[str]) -> list[str]:
    """Ranks whose species is the second word of a binomial alone."""
    *wider, genus, species = ranks
    first, _, second = species.partition(" ")
    if second and genus.casefold() in ("", first.casefold()):
        return [*wider, first, second]
    return ranks
