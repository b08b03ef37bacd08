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
    """Rewrite the generated part of the page, or with ``--check`` say whether it is as the result has it."""
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
    seconds = NIGHT_HOURS * 3600
    per_second = IMAGES / seconds
    masks = IMAGES * (MASKED + FLAGGED)
    naming = IMAGES * figures["core_seconds_per_image"] / 3600
    masking = masks * figures["core_seconds_per_mask"] / 3600
    workers = (naming + masking) / NIGHT_HOURS
    n_batches, n_shards = IMAGES / BATCH, IMAGES / SHARD
    mask_shards = masks / (SHARD / 8)
    task_runs = 2 * n_shards + 2 * mask_shards
    requests = IMAGES / 1000 * figures["requests_per_1000_images"]
    events = IMAGES / 1000 * figures["events_per_1000_images"]
    more = task_runs / (2 * n_shards)
    server = IMAGES / 1000 * figures["server_seconds_per_1000_images"] * more
    driver = IMAGES / 1000 * figures["driver_seconds_per_1000_images"]
    shards_of_batch = 2 * BATCH / SHARD
    memory = (
        figures["driver_mib_base"]
        + BATCH / 1000 * figures["driver_mib_per_1000_images"]
        + shards_of_batch / 100 * figures["driver_mib_per_100_shards"]
    )
    listing = IMAGES / 1e6 * figures["listing_seconds_per_million"]
    listing_gb = IMAGES / 1e6 * figures["listing_mib_per_million"] / 1024
    drivers = max(1, -(-int(driver + listing) // int(0.5 * seconds)))
    reads = 2 * IMAGES + 2 * masks
    rows = [
        ("images a second", f"{IMAGES:,} / ({NIGHT_HOURS} x 3600 s)", f"{per_second:.0f}"),
        ("masks", f"{IMAGES:,} x ({MASKED} control + {FLAGGED} flagged)", f"{masks:,.0f}"),
        (
            "describing and naming",
            f"{IMAGES:,} x {figures['core_seconds_per_image']:.3g} s / 3600",
            f"{naming:,.0f} core hours",
        ),
        (
            "masks and re-classification",
            f"{masks:,.0f} x {figures['core_seconds_per_mask']:.3g} s / 3600",
            f"{masking:,.0f} core hours",
        ),
        ("cores", f"({naming:,.0f} + {masking:,.0f}) / {NIGHT_HOURS} h", f"{workers:,.0f}"),
        (
            "batches",
            f"{IMAGES:,} / {BATCH:,}",
            f"{n_batches:.0f}, one after the other: {seconds / n_batches:.0f} s each",
        ),
        ("task runs", f"2 x {n_shards:,.0f} shards + 2 x {mask_shards:,.0f} mask shards", f"{task_runs:,.0f}"),
        (
            "requests to Prefect",
            f"{IMAGES // 1000:,} x {figures['requests_per_1000_images']:.3g} x {more:.2f} for mask shards",
            f"{requests * more:,.0f}, {requests * more / seconds:.1f} a second",
        ),
        (
            "events to Prefect",
            f"{IMAGES // 1000:,} x {figures['events_per_1000_images']:.3g} x {more:.2f}",
            f"{events * more:,.0f}, {events * more / seconds:.1f} a second",
        ),
        (
            "Prefect's server",
            f"{IMAGES // 1000:,} x {figures['server_seconds_per_1000_images']:.3g} s x {more:.2f} / {seconds:,} s",
            f"{server / seconds:.2f} of a core",
        ),
        (
            "driver, its own work",
            f"{IMAGES // 1000:,} x {figures['driver_seconds_per_1000_images']:.3g} s",
            f"{driver / 3600:.1f} h of one core",
        ),
        (
            "driver, memory of a batch",
            f"{figures['driver_mib_base']:.0f} MiB + {BATCH // 1000} x {figures['driver_mib_per_1000_images']:.3g} "
            f"+ {shards_of_batch / 100:.1f} x {figures['driver_mib_per_100_shards']:.3g}",
            f"{memory / 1024:.1f} GiB",
        ),
        (
            "driver, listing",
            f"{IMAGES // 10**6} x {figures['listing_seconds_per_million']:.0f} s and "
            f"{figures['listing_mib_per_million']:,.0f} MiB",
            f"{listing / 60:.0f} min and {listing_gb:.1f} GiB",
        ),
        ("drivers", f"({driver / 3600:.1f} + {listing / 3600:.1f}) h in half of {NIGHT_HOURS} h", f"{drivers}"),
        (
            "reads from the store",
            f"(2 x {IMAGES:,} + 2 x {masks:,.0f}) x {MEGABYTES} MB",
            f"{reads * MEGABYTES / 1e6:.0f} TB, {reads * MEGABYTES * 8 / seconds / 1000:.1f} Gbit/s",
        ),
        (
            "Parquet",
            f"{IMAGES:,} x {figures['out_bytes_per_image']:.0f} bytes, masks not counted",
            f"{IMAGES * figures['out_bytes_per_image'] / 1e9:.1f} GB a night",
        ),
    ]
    lines = ["| | from | is |", "|---|---|---|"] + [f"| {what} | {how} | {value} |" for what, how, value in rows]
    return ["\n".join(lines)]


if __name__ == "__main__":
    sys.exit(main())
