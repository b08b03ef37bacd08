"""Answers to "is this the same individual?": a table of pairs of pictures, as `individuals count --pairs` writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

from scd_core.errors import InputError
from scd_core.inputs.csv import read_csv, safe_path
from scd_core.inputs.text import plain_letters, read_text

__all__ = ["PairAnswer", "name_lines", "pair_lines", "read_pair_answers"]

_COLUMNS = ("target_id", "other_target_id", "file", "other_file", "same")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("yes", "y", "same", "true", "1"), True),
    **dict.fromkeys(("no", "n", "different", "false", "0"), False),
    **dict.fromkeys(("unclear", "unsure", "?"), None),
}


@dataclass(frozen=True)
class PairAnswer:
    """What a person said of two pictures."""

    first: str
    """target_id"""
    second: str
    """target_id"""
    is_same: bool | None
    """Whether they are one individual; None where the person could not see it."""
    where: str
    """Where it is written, for messages."""


def pair_lines(pairs: Iterable[tuple[str, str]], files: dict[str, str]) -> str:
    """A CSV table of pairs to answer: `same` is empty, for ``yes``, ``no`` or ``unclear``.

    Args:
        pairs: target_ids of two pictures.
        files: target_id -> path of the picture.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((first, second, safe_path(files[first]), safe_path(files[second]), "") for first, second in pairs)
    return text.getvalue()


def name_lines(files: Iterable[str]) -> str:
    """A CSV table of pictures to name, as `labels import` reads it: `individual_id` is empty.

    >>> name_lines(["a.jpg", "=1.jpg"])
    'file,individual_id\\na.jpg,\\n./=1.jpg,\\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("file", "individual_id"), *((safe_path(file), "") for file in files)])
    return text.getvalue()


def read_pair_answers(url: str) -> list[PairAnswer]:
    """Answers of a table with `target_id`, `other_target_id` and `same`; lines without an answer are left out.

    Args:
        url: fsspec URL or path of a CSV file.

    Raises:
        InputError: it cannot be read, a pair is of one picture, or an answer is none of ``yes``, ``no``, ``unclear``; the
            message gives the line.
    """
    found = []
    for line in read_csv(read_text(url, "answers"), f"answers {url}", ("target_id", "other_target_id", "same")):
        first, second, word = line["target_id"], line["other_target_id"], plain_letters(line["same"])
        if not word:
            continue
        if word not in _WORDS:
            raise InputError(f"{line.where}: same {line['same'][:40]!r}: expected yes, no or unclear")
        if not first or not second or first == second:
            raise InputError(f"{line.where}: expected two different pictures in target_id and other_target_id")
        found.append(PairAnswer(first, second, _WORDS[word], line.where))
    return found
