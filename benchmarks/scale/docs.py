"""The generated part of docs/scaling.md: tables of benchmarks/results/scale.json, and the estimate that is made from them.

python -m benchmarks.scale.docs [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.docs_page import NO_RESULT, RESULTS, cell, page_options, read_result, rewrite, table
from benchmarks.scale import machines as scale

__all__ = ["BEGIN", "END", "NO_RESULT", "PAGE", "RESULT", "estimate", "main", "tables"]

BEGIN = "<!-- written by `python -m benchmarks.scale.docs` from benchmarks/results/scale.json; do not edit -->"
END = "<!-- end of what is written -->"
RESULT = RESULTS / "scale.json"
PAGE = "scaling.md"
"""Below docs."""

IMAGES = 10_000_000
"""Of the night that is estimated."""
NIGHT_HOURS = 8
BATCH = 50_000
"""Images of a batch: `media.batch_size`."""
SHARD = 256
MASKED = 0.05
"""Share of images that get a mask: `triage.control_rate`; what is flagged comes on top, up to `triage.budget` a batch."""
FLAGGED = 0.05
MEGABYTES = 1.5
"""Of a photograph of 3 megapixels."""

_TITLES = {
    "throughput": "Workers",
    "cost": "What one photograph costs",
    "growth": "The driver, against images and shards",
    "server": "Prefect's server",
    "listing": "Listing and planning",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated part of the page, or with ``--check`` compare it with the result."""
    parser = page_options("Tables and estimate of docs/scaling.md.")
    parser.add_argument("--result", type=Path, default=RESULT, help="result of benchmarks.scale")
    chosen = parser.parse_args(arguments)
    result = read_result(chosen.result)
    content, command = tables(result) if result else NO_RESULT, "python -m benchmarks.scale.docs"
    return rewrite(chosen.docs, {PAGE: content}, (BEGIN, END), command, check=chosen.check)


def tables(result: Mapping[str, Any]) -> str:
    """Markdown of a result: where it was measured, a table per part, the summary, and the estimate."""
    about, machine = result["about"], result["about"]["machine"]
    cores = about["notes"].get("cores_allowed", machine["cores"])
    parts = [
        f"`python -m benchmarks.scale` on {about['date'][:10]}, commit {about['commit']}, {cores} of {machine['cores']} cores "
        f"({machine['cpu']}), load {machine['load_average']} at its end, torch {about['torch']}, {about['device']}."
    ]
    for part, title in _TITLES.items():
        rows = [row for row in result["rows"] if row["part"] == part]
        if rows:
            parts += [f"### {title}", table(scale.COLUMNS[part], rows)]
    known = {key: value for key, value in result["summary"].items() if value is not None}
    lines = ["| figure | value | what it is |", "|---|---|---|"]
    lines += [f"| `{key}` | {cell(value)} | {about['notes'][key]} |" for key, value in known.items()]
    parts += ["### Figures", "\n".join(lines), f"### {IMAGES // 10**6} million images a night", *estimate(known)]
    return "\n\n".join(parts)


def estimate(figures: Mapping[str, float]) -> list[str]:
    """Paragraphs that work out a night of 10 million photographs of 3 megapixels, in 8 hours, each step in sight."""
    rows = [*_work(figures), *_prefect(figures), *_driver(figures), *_store(figures)]
    lines = ["| | from | is |", "|---|---|---|"] + [f"| {what} | {how} | {value} |" for what, how, value in rows]
    return ["\n".join(lines)]


_SECONDS = NIGHT_HOURS * 3600
_MASKS = IMAGES * (MASKED + FLAGGED)
_SHARDS = IMAGES / SHARD
_MASK_SHARDS = _MASKS / (SHARD / 8)
_TASK_RUNS = 2 * _SHARDS + 2 * _MASK_SHARDS


def _work(figures: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """What the workers do."""
    per_image, per_mask = figures["core_seconds_per_image"], figures["core_seconds_per_mask"]
    naming, masking = IMAGES * per_image / 3600, _MASKS * per_mask / 3600
    n_batches = IMAGES / BATCH
    return [
        ("images a second", f"{IMAGES:,} / ({NIGHT_HOURS} x 3600 s)", f"{IMAGES / _SECONDS:.0f}"),
        ("masks", f"{IMAGES:,} x ({MASKED} control + {FLAGGED} flagged)", f"{_MASKS:,.0f}"),
        ("describing and naming", f"{IMAGES:,} x {per_image:.3g} s / 3600", f"{naming:,.0f} core hours"),
        ("masks and re-classification", f"{_MASKS:,.0f} x {per_mask:.3g} s / 3600", f"{masking:,.0f} core hours"),
        ("cores", f"({naming:,.0f} + {masking:,.0f}) / {NIGHT_HOURS} h", f"{(naming + masking) / NIGHT_HOURS:,.0f}"),
        (
            "batches",
            f"{IMAGES:,} / {BATCH:,}",
            f"{n_batches:.0f}, one after the other: {_SECONDS / n_batches:.0f} s each",
        ),
        ("task runs", f"2 x {_SHARDS:,.0f} shards + 2 x {_MASK_SHARDS:,.0f} mask shards", f"{_TASK_RUNS:,.0f}"),
    ]


def _prefect(figures: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """What Prefect's server does; it was measured without masks, whose shards are as many task runs more."""
    thousands, more = IMAGES // 1000, _TASK_RUNS / (2 * _SHARDS)
    rows = []
    for what in ("requests", "events"):
        each = figures[f"{what}_per_1000_images"]
        count = thousands * each * more
        of = "for mask shards" if what == "requests" else ""
        how = f"{thousands:,} x {each:.3g} x {more:.2f} {of}".rstrip()
        rows.append((f"{what} to Prefect", how, f"{count:,.0f}, {count / _SECONDS:.1f} a second"))
    seconds = figures["server_seconds_per_1000_images"]
    how = f"{thousands:,} x {seconds:.3g} s x {more:.2f} / {_SECONDS:,} s"
    return [*rows, ("Prefect's server", how, f"{thousands * seconds * more / _SECONDS:.2f} of a core")]


def _driver(figures: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """What the process does that plans and commits."""
    each, base = figures["driver_seconds_per_1000_images"], figures["driver_mib_base"]
    by_images, by_shards = figures["driver_mib_per_1000_images"], figures["driver_mib_per_100_shards"]
    driver = IMAGES / 1000 * each
    shards = 2 * BATCH / SHARD
    memory = base + BATCH / 1000 * by_images + shards / 100 * by_shards
    listing_seconds, listing_mib = figures["listing_seconds_per_million"], figures["listing_mib_per_million"]
    listing, listing_gb = IMAGES / 1e6 * listing_seconds, IMAGES / 1e6 * listing_mib / 1024
    drivers = max(1, -(-int(driver + listing) // int(0.5 * _SECONDS)))
    return [
        ("driver, its own work", f"{IMAGES // 1000:,} x {each:.3g} s", f"{driver / 3600:.1f} h of one core"),
        (
            "driver, memory of a batch",
            f"{base:.0f} MiB + {BATCH // 1000} x {by_images:.3g} + {shards / 100:.1f} x {by_shards:.3g}",
            f"{memory / 1024:.1f} GiB",
        ),
        (
            "driver, listing",
            f"{IMAGES // 10**6} x {listing_seconds:.0f} s and {listing_mib:,.0f} MiB",
            f"{listing / 60:.0f} min and {listing_gb:.1f} GiB",
        ),
        ("drivers", f"({driver / 3600:.1f} + {listing / 3600:.1f}) h in half of {NIGHT_HOURS} h", f"{drivers}"),
    ]


def _store(figures: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """What is read from the store and what is written."""
    megabytes = (2 * IMAGES + 2 * _MASKS) * MEGABYTES
    out_bytes = figures["out_bytes_per_image"]
    return [
        (
            "reads from the store",
            f"(2 x {IMAGES:,} + 2 x {_MASKS:,.0f}) x {MEGABYTES} MB",
            f"{megabytes / 1e6:.0f} TB, {megabytes * 8 / _SECONDS / 1000:.1f} Gbit/s",
        ),
        (
            "Parquet",
            f"{IMAGES:,} x {out_bytes:.0f} bytes, masks not counted",
            f"{IMAGES * out_bytes / 1e9:.1f} GB a night",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
