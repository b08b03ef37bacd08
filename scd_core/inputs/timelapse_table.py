"""Names in a Timelapse table whose template an audit wrote: each row is a picture, each menu an animal in it."""

from __future__ import annotations

from collections.abc import Iterator

from scd_core.errors import InputError
from scd_core.inputs.csv import Line
from scd_core.inputs.exported import CARRIED, CarriedPicture, Slot, read_carried, word_of
from scd_core.inputs.label import Account, Label, flank_of
from scd_core.names import Flank

__all__ = ["ANIMAL", "NEW_NAME", "exported_labels"]

ANIMAL = "animal_"
"""Column of an animal's name, with its number from 1."""
NEW_NAME = "new_name"
"""Column of a name that the menus lack, of the first animal whose menu is empty."""


def exported_labels(line: Line, file: str, account: Account) -> Iterator[Label]:
    """Labels of a row: what a person chose, and the labels that were there and are unchanged, as what they were.

    Args:
        line: row of the table.
        file: path of its picture, where the row does not carry it: a picture that came after the export.
        account: gets the animals without a name.

    Raises:
        InputError: what the row carries is damaged, or the flank is none.
    """
    text = line[CARRIED]
    picture = read_carried(text, line.where) if text else CarriedPicture(file, [(None, None)])
    slots = picture.slots()
    words = [line[f"{ANIMAL}{number}"] for number, _ in enumerate(slots, 1)]
    if line[NEW_NAME]:
        if "" not in words:
            raise InputError(
                f"{line.where}: {NEW_NAME} is given and no animal's menu is empty; empty that of the animal meant"
            )
        words[words.index("")] = line[NEW_NAME]
    for number, (slot, word) in enumerate(zip(slots, words, strict=True)):
        account.n_rows += 1
        if word:
            yield _label(line, picture, slot, word, flank_of(line["flank"], line.where) if number == 0 else None)
        else:
            account.leave_out("animals without a name", f"line {line.number}")


def _label(line: Line, picture: CarriedPicture, slot: Slot, word: str, flank: Flank | None) -> Label:
    was = slot.label
    if was is not None and word == word_of(was).strip() and flank in (None, was.flank):
        return was
    return picture.new_label(word, slot.detection_id, slot.bbox, flank=flank, labelled_by=line["labelled_by"] or None)
