"""Speed of naming: decode-only, model-only and whole rates on the same 12-megapixel photographs in one run.

``python -m benchmarks.classify --json FILE``. Whole is `classify_media`, what a run calls, with the gradient of
each name (`classify.measure_gradient`); whole_plain and model_only are without it. The plain loop opens, decodes in
full, transforms and classifies one picture at a time. Both ways to decode are measured: `full`, which the loop's logits agree
with, and `reduced` (``model pack --decode reduced``), which is the fast one. Each rate is the best of several rounds, taken
in turn, so that a machine that slows down slows all of them. ``whole_apart`` is the whole with a model that only
waits, as long as decode and resizing take: how well they overlap where a GPU, which was not at hand, leaves the cores alone.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from torchvision import transforms

from benchmarks.common import DATA, Report, options, resolve_device
from benchmarks.masks.data import load_mobilenet
from benchmarks.memory import peak_mib
from scd_core.config import AuditConfig
from scd_core.identify import Classifier, load_model, pack_model
from scd_core.identify.architectures import build_network, default_input
from scd_core.identify.classify import classify_media
from scd_core.identify.preprocess import decode_size, preprocess
from scd_core.identify.spec import InputSpec
from scd_core.masks.gradient import GradientNaming
from scd_core.media import iter_images, list_source
from scd_core.media.decode import decode_image
from scd_core.media.fetch import iter_prepared
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["MODELS", "main", "make_classifier"]

MODELS = (
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/resnet50",
    "scd_core/small_cnn",
)
"""The summary is about the first, the real classifier that the photographs are tried with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    args = options(str(__doc__).splitlines()[0])
    args.add_argument("--copies", type=int, default=8, help="copies of each photograph")
    args.add_argument("--rounds", type=int, default=3, help="rounds of which the fastest counts")
    chosen = args.parse_args(arguments)
    report = Report("classify", resolve_device(chosen.device))
    files = [path for path in sorted((DATA / "southwest").glob("*.[jJ][pP][gG]")) if _is_large(path)]
    if not files:
        report.notes["photographs"] = "left out: the photographs are not here"
        report.summary |= dict.fromkeys(("pipeline_over_slower", "over_plain_loop", "peak_memory_gb"))
    else:
        _measure(report, files, chosen)
    columns = [
        "model",
        "decode",
        "decode_only",
        "inputs_only",
        "model_only",
        "model_gradient",
        "whole",
        "whole_plain",
        "plain_loop",
    ]
    report.show(
        ["model", "decode", "gradient_over_model", "gradient_over_whole"], "time with the gradient over time without"
    )
    report.show(
        [*columns, "whole_over_slower", "whole_over_bound", "whole_apart_over_slower", "whole_over_plain_loop"],
        "images/s",
    )
    report.finish(chosen.json)


def _measure(report: Report, files: Sequence[Path], args: argparse.Namespace) -> None:
    copies, rounds = (2, 1) if args.quick else (args.copies, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        for copy in range(copies):
            (source / f"camera{copy}" / "d1").mkdir(parents=True)
            for path in files:
                shutil.copyfile(path, source / f"camera{copy}" / "d1" / path.name)
        columns = ("media_id", "file", "uri", "etag", "version_id", "size_bytes")
        objects = list_source(str(source), AuditConfig().media).objects
        rows = [cast(MediaRow, {name: getattr(item, name) for name in columns}) for item in objects]
        for architecture in MODELS[:1] if args.quick else MODELS:
            for decode in ("reduced", "full"):
                classifier = make_classifier(architecture, decode, Path(folder), str(report.device))
                row = _rates(classifier, rows, source, rounds)
                report.rows.append({"model": architecture, "decode": decode} | row)
                report.progress(f"{architecture}, {decode}")
    for row in report.rows:
        end = "_full" if row["decode"] == "full" else ""
        if row["model"] == MODELS[0]:
            report.summary |= {
                f"pipeline_over_slower{end}": row["whole_over_slower"],
                f"pipeline_over_bound{end}": row["whole_over_bound"],
                f"pipeline_over_slower_apart{end}": row["whole_apart_over_slower"],
                f"over_plain_loop{end}": row["whole_over_plain_loop"],
            }
    for name in ("gradient_over_model", "gradient_over_whole"):
        report.summary[f"{name}_most"] = max(float(row[name]) for row in report.rows)
    report.summary["peak_memory_gb"] = peak_mib() / 1024
    report.summary |= _differences(files, report.device)
    report.notes["logit_difference"] = "largest, real mobilenet_v2 against torchvision's Resize of a full decode"
    report.notes["photographs"] = f"{len(files)} southwest photographs of over 5 megapixels, {copies} copies of each"
    report.notes["decode_only"] = "bytes to pictures; inputs_only goes on to the network's input, in the same threads"
    report.notes["bound"] = (
        "1 / (1 / inputs_only + 1 / model_only): where both take all cores, no order of work is faster"
    )
    report.notes["peak_memory_gb"] = "resident memory of the whole process, libraries and all models included"


def _rates(classifier: Classifier, rows: list[MediaRow], source: Path, rounds: int) -> dict[str, float]:
    config = AuditConfig()
    size = config.classify.batch_size
    # In smaller batches, so that there are enough of them for the first and the last not to count.
    apart = config.model_copy(update={"classify": config.classify.model_copy(update={"batch_size": 8})})
    batch = torch.rand(size, 3, *classifier.spec.input.size)
    unplaced: list[PredictionRow] = [{"detection_id": None, "bbox_x_min": None}] * size
    passes = max(1, len(rows) // size)
    few = rows[: max(4, len(rows) // 4)]
    target = decode_size(classifier.spec.input)

    def decode_only() -> int:
        return sum(1 for _ in iter_images(rows, str(source), config.media, target_for=target))

    def inputs_only() -> int:
        made = iter_prepared(
            rows, str(source), config.media, lambda _, image: classifier.preprocess(image), target_for=target
        )
        return sum(1 for _ in made)

    def model_only() -> int:
        return sum(len(classifier.logits(batch)) for _ in range(passes))

    def model_gradient() -> int:
        naming = GradientNaming(classifier)
        return sum(len(naming(batch, unplaced)[0]) for _ in range(passes))

    def whole_plain() -> int:
        return len(classify_media(rows, classifier, str(source), config))

    def whole() -> int:
        done = classify_media(rows, classifier, str(source), config, naming=GradientNaming(classifier))
        assert all(row["prediction_status"] == "ok" for row in done)
        return len(done)

    def whole_apart() -> int:
        return len(classify_media(rows * 4, _Waiting(classifier, found["inputs_only"]), str(source), apart))

    def plain_loop() -> int:
        for row in few:
            with Image.open(source / row["file"]) as opened, torch.inference_mode():
                classifier.model(classifier.preprocess(opened.convert("RGB"))[None].to(classifier.device))
        return len(few)

    works = [decode_only, inputs_only, model_only, model_gradient, whole_plain, whole, plain_loop]
    if classifier.spec.architecture == MODELS[0]:  # the same for all
        works.append(whole_apart)
    found = {work.__name__: 0.0 for work in works}
    classifier.logits(batch)
    for _ in range(rounds):
        for work in works:
            found[work.__name__] = max(found[work.__name__], _rate(work))
    slower = min(found["decode_only"], found["model_only"])
    bound = 1 / (1 / found["inputs_only"] + 1 / found["model_only"])
    if whole_apart in works:
        found["whole_apart_over_slower"] = found["whole_apart"] / found["inputs_only"]
    return found | {
        "whole_over_slower": found["whole"] / slower,
        "whole_over_bound": found["whole"] / bound,
        "gradient_over_model": found["model_only"] / found["model_gradient"],
        "gradient_over_whole": found["whole_plain"] / found["whole"],
        "whole_over_plain_loop": found["whole"] / found["plain_loop"],
    }


class _Waiting(Classifier):
    """A classifier that takes its time and none of the cores.

    Args:
        other: whose package it is.
        rate: images a second.
    """

    def __init__(self, other: Classifier, rate: float) -> None:
        self.__dict__ |= other.__dict__
        self.rate = rate

    def logits(self, batch: torch.Tensor, *, leave_out_equal: bool = False) -> torch.Tensor:
        """(B, K) zeros after B / rate seconds."""
        time.sleep(len(batch) / self.rate)
        return torch.zeros(len(batch), len(self.spec.labels))


def _differences(files: Sequence[Path], device: torch.device) -> dict[str, float | None]:
    """How far logits of trained weights are from those of torchvision's own transform, by way to decode."""
    model = load_mobilenet(device)
    if model is None:
        return {"logit_difference_full": None, "logit_difference_reduced": None, "names_changed_reduced": None}
    full = InputSpec(**default_input(MODELS[0]))
    specs = {"full": full, "reduced": full.model_copy(update={"decode": "reduced"})}
    transform = transforms.Compose(
        [transforms.Resize(full.size), transforms.ToTensor(), transforms.Normalize(full.mean, full.std)]
    )
    largest, changed = dict.fromkeys(specs, 0.0), dict.fromkeys(specs, 0)
    for path in files:
        with Image.open(path) as opened, torch.inference_mode():
            own = model(transform(ImageOps.exif_transpose(opened).convert("RGB"))[None].to(device))[0]
        for name, spec in specs.items():
            picture = decode_image(path.read_bytes(), target=decode_size(spec), max_pixels=10**9)
            with torch.inference_mode():
                found = model(preprocess(picture, spec)[None].to(device))[0]
            largest[name] = max(largest[name], float((found - own).abs().max()))
            changed[name] += int(found.argmax() != own.argmax())
    return {
        "logit_difference_full": largest["full"],
        "logit_difference_reduced": largest["reduced"],
        "names_changed_reduced": changed["reduced"] / len(files),
    }


def _rate(work: Callable[[], int]) -> float:
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def make_classifier(architecture: str, decode: str, folder: Path, device: str) -> Classifier:
    """A package with random weights of 100 classes: speed does not depend on the weights."""
    name = f"{architecture.replace('/', '_')}_{decode}"
    torch.manual_seed(0)
    save_file(build_network(architecture, 100).state_dict(), folder / f"{name}.safetensors")
    labels = [f"individual {number}" for number in range(100)]
    weights = folder / f"{name}.safetensors"
    pack_model(folder / name, architecture=architecture, weights=weights, labels=labels, decode=decode)
    return load_model(str(folder / name), device)


def _is_large(path: Path) -> bool:
    try:
        with Image.open(path) as opened:
            return opened.width * opened.height > 5_000_000
    except OSError:
        return False


if __name__ == "__main__":
    main()
