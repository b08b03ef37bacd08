"""Copies of one picture: what was handed in for any of them counts for the one that is audited."""

from __future__ import annotations

from scd_core.inputs.copies import boxes_of_copies, copies_of, differing_words, flags_of_copies, names_of_copies
from scd_core.inputs.detection import Detection
from scd_core.inputs.given import Given, GivenEntry
from scd_core.tables.schema import table_from_rows

DIFFER = "copies of one picture are named differently"
COPIES = {"a.jpg": ["b.jpg", "c.jpg"]}
LUNA, TARA, NAMELESS = Given((("Luna", 0.9),)), Given((("Tara", 0.8),)), Given(())


def entry(**names: GivenEntry) -> GivenEntry | None:
    given = {f"{letter}.jpg": one for letter, one in names.items()}
    return names_of_copies(given, ["a.jpg"], COPIES).get("a.jpg")


def test_copies_are_those_of_the_batch_by_file_or_address() -> None:
    rows = [
        {"media_id": f"id-{letter}", "file": f"{letter}.jpg", "uri": f"s3://x/{letter}.jpg", "duplicate_of": original}
        for letter, original in (("a", None), ("b", "id-a"), ("c", "id-a"), ("d", "id-gone"), ("e", None))
    ]
    media = table_from_rows("media", rows)
    assert copies_of(media) == COPIES
    assert copies_of(media, "uri") == {"a.jpg": ["s3://x/b.jpg", "s3://x/c.jpg"]}
    assert copies_of(media.slice(3)) == {}


def test_a_name_of_any_copy_counts() -> None:
    assert entry(b=(LUNA,)) == (LUNA,)
    assert entry(a="failed", c=(LUNA,)) == (LUNA,), "a failure is no other name"
    assert entry(a=(NAMELESS,), b=(LUNA,)) == (LUNA,), "and neither is a box without one"
    assert entry(a=(LUNA,), b=(Given((("Luna", 0.5),)),)) == (LUNA,), "of one name the first entry counts"
    assert entry(a="failed", b="failed too") == "failed" and entry() is None


def test_two_names_of_copies_count_for_none() -> None:
    assert entry(a=(LUNA,), b=(TARA,)) == f"{DIFFER}: a.jpg 'Luna', b.jpg 'Tara'"
    assert entry(b=(LUNA,), c=()) == f"{DIFFER}: b.jpg 'Luna', c.jpg without an animal"
    differ = entry(a=(LUNA,), b=(TARA,))
    assert differ is not None and differing_words([differ, (LUNA,), differ]) == (
        "2 pictures have copies with other names; `failure_reason` has them"
    )
    assert differing_words([(LUNA,), "failed", ()]) is None
    assert entry(a=(LUNA, TARA), b=(TARA, LUNA)) == (LUNA, TARA), "of several boxes the order does not matter"


def test_boxes_of_a_copy_are_those_of_the_picture() -> None:
    box = Detection("0", "animal", 0.9, (0.1, 0.1, 0.2, 0.2))
    assert boxes_of_copies({"c.jpg": (box,)}, ["a.jpg", "z.jpg"], COPIES) == {"a.jpg": (box,)}
    assert boxes_of_copies({"a.jpg": "failed", "b.jpg": ()}, ["a.jpg"], COPIES) == {"a.jpg": ()}
    assert boxes_of_copies({"a.jpg": "failed"}, ["a.jpg"], COPIES) == {"a.jpg": "failed"}


def test_a_flag_of_a_copy_is_one_of_the_picture() -> None:
    addresses = {"a.jpg": ["s3://x/b.jpg"], "e.jpg": ["s3://x/f.jpg"]}
    assert flags_of_copies(frozenset({"s3://x/b.jpg"}), addresses) == {"s3://x/b.jpg", "a.jpg"}
