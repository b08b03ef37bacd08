"""Broken image files by seed, and a run over them that reports its statuses and its memory."""

from __future__ import annotations

import io
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.memory import forget_peak, peak_mib
from tests.services.pictures import encode, exif_block, photo


def whole_files() -> list[bytes]:
    """Pictures of every kind that is read, some with EXIF, some of many frames."""
    picture, grey = photo(160, 120), photo(160, 120).convert("L")
    wide = Image.fromarray(np.linspace(0, 65535, 160 * 120).astype(np.uint16).reshape(120, 160))
    exif = exif_block(original="2024:05:03 12:00:00", offset="+02:00", orientation="6")
    more = {"save_all": True, "append_images": [photo(160, 120, seed=2)]}
    return [
        encode(picture, exif=exif),
        encode(picture, progressive=True, exif=exif),
        encode(picture.convert("CMYK")),
        encode(grey),
        encode(picture, "PNG", exif=exif),
        encode(picture.convert("P"), "PNG"),
        encode(wide, "PNG"),
        encode(picture, "PNG", **more),
        *(
            encode(picture, "TIFF", compression=name)
            for name in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")
        ),
        encode(wide, "TIFF"),
        encode(grey.convert("1"), "TIFF", compression="group4"),
        encode(picture, "WEBP", exif=exif),
        encode(picture, "WEBP", lossless=True),
        encode(picture, "WEBP", **more),
        encode(picture.convert("P"), "GIF"),
        encode(picture, "BMP"),
    ]


def mutated(number: int, seed: int) -> Iterator[bytes]:
    """Damaged copies of whole files: bits, ranges, lengths, headers and splices."""
    dice = random.Random(seed)
    whole = whole_files()
    for _ in range(number):
        data = bytearray(dice.choice(whole))
        for _ in range(dice.choice([1, 1, 1, 2, 4, 16])):
            _damage(data, dice, whole)
        yield bytes(data)


def _damage(data: bytearray, dice: random.Random, whole: list[bytes]) -> None:
    if len(data) < 32:
        return
    # Half of the damage hits the header, where a byte decides over sizes and types.
    at = dice.randrange(min(len(data), 512)) if dice.random() < 0.5 else dice.randrange(len(data))
    kind = dice.randrange(8)
    if kind == 0:
        data[at] ^= 1 << dice.randrange(8)
    elif kind == 1:
        data[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\xff\xff"])
    elif kind == 2:
        del data[at : at + dice.randint(1, 64)]
    elif kind == 3:
        data[at:at] = dice.randbytes(dice.randint(1, 64))
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif kind == 6:
        other = dice.choice(whole)
        data[at:] = other[dice.randrange(len(other)) :]
    else:
        data[at : at + 16] = dice.randbytes(len(data[at : at + 16]))


def write(folder: Path, number: int, seed: int) -> None:
    """Write the files under names that do not tell their kind."""
    for index, data in enumerate(mutated(number, seed)):
        (folder / f"{index:05}.jpg").write_bytes(data)


def main(folder: str, number: str, seed: str) -> None:
    """Write, list and describe; print the rows' statuses and the memory used beyond the start."""
    from scd_core.config import MediaConfig
    from scd_core.media import MediaError, describe_objects, iter_images, list_objects
    from scd_core.tables.schema import table_from_rows

    warnings.simplefilter("ignore")
    write(Path(folder), int(number), int(seed))
    before = forget_peak()
    config = MediaConfig()
    objects = list_objects(folder, config)
    rows = describe_objects(objects, folder, config)
    table = table_from_rows("media", rows)
    usable = [row for row in rows if row["status"] == "ok"]
    images = [image for _, image in iter_images(usable, folder, config, target_for=64)]
    print(
        json.dumps(
            {
                "rows": len(table),
                "in_order": [ref.media_id for ref in objects] == table["media_id"].to_pylist(),
                "statuses": Counter(row["status"] for row in rows),
                "without_reason": [row["file"] for row in rows if row["status"] != "ok" and not row["failure_reason"]],
                "ok_but_unreadable": sum(isinstance(image, MediaError) for image in images),
                "megabytes": peak_mib() - before,
            }
        )
    )


if __name__ == "__main__":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=True)
    main(*sys.argv[1:])
