"""Writes small audits, row by row, the way a run does: tables, then the commit."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scd_core.audit.labels.importing import import_labels
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore

START = datetime(2026, 3, 1, 12, 0)


class AuditBuilder:
    """One batch of an audit in the making."""

    def __init__(
        self, out, batch_key="b1", model="m1", batch_date=date(2026, 3, 1), finished=None, individuals=None, inputs=None
    ):
        self.out = str(out)
        self.batch_key = batch_key
        self.batch_date = batch_date
        self.stamp = {"run_id": f"run-{batch_key}", "batch_key": batch_key, "model_digest": model}
        self.finished = finished or datetime(2026, 3, 2, tzinfo=UTC)
        self.individuals = individuals
        self.inputs = inputs
        self.run = {}
        self.tables = {"media": [], "predictions": [], "masks": [], "reclassifications": []}

    def media(self, file, *, camera="C01", event=None, at=None, status="ok", **more):
        media_id = more.pop("media_id", f"id-{file}")
        row = {
            **self.stamp,
            "media_id": media_id,
            "uri": f"s3://cards/{file}",
            "file": file,
            "status": status,
            "camera_id": camera,
            "deployment_id": f"{camera}-d1",
            "captured_at": at or START,
            "event_id": event or f"e-{file}",
            "is_infrared": False,
            "brightness": 0.5,
            "sharpness": 100.0,
            "last_modified_at": datetime(2026, 3, 1, tzinfo=UTC),
        }
        self.tables["media"].append(row | more)
        return media_id

    def predict(self, file, name, probability=0.9, *, detection=None, runner_up=None, new_media=True, **more):
        """A media row and its prediction; ``name`` None is a usable image without a name."""
        media_keys = (
            "camera",
            "event",
            "at",
            "is_infrared",
            "brightness",
            "sharpness",
            "latitude",
            "longitude",
            "utc_offset_minutes",
            "uri",
            "deployment_id",
        )
        described = {key: more.pop(key) for key in media_keys if key in more}
        media_id = f"id-{file}"
        if new_media:
            self.media(file, **described)
        target = f"{media_id}:{detection}" if detection is not None else media_id
        topk = [] if name is None else [{"individual_id": name, "probability": probability}]
        if runner_up:
            topk.append({"individual_id": runner_up[0], "probability": runner_up[1]})
        row = {
            **self.stamp,
            "target_id": target,
            "media_id": media_id,
            "detection_id": detection,
            "prediction_status": "ok" if name else "no_animal",
            "predicted_id": name,
            "probability": probability if name else None,
            "topk": topk,
            "event_id": described.get("event") or f"e-{file}",
            "event_predicted_id": name,
            "flag_reasons": [],
            "is_flagged": False,
            "is_control": False,
            "is_selected": True,
            "inclusion_probability": 1.0 if name else 0.0,
        }
        self.tables["predictions"].append(row | more)
        return target

    def mask(self, target, final=None, probability=0.8, strategies=(), **evidence):
        media_id = target.split(":")[0]
        prediction = next(row for row in self.tables["predictions"] if row["target_id"] == target)
        key = {**self.stamp, "target_id": target, "media_id": media_id, "detection_id": prediction["detection_id"]}
        mask = {"method": "scd", "mask_status": "ok", "background_reliance": 0.1, "overlay_reliance": 0.0}
        self.tables["masks"].append(key | mask | evidence)
        for strategy, name in [("fused", final or prediction["predicted_id"]), *strategies]:
            self.tables["reclassifications"].append(
                key
                | {
                    "strategy": strategy,
                    "strategy_status": "ok",
                    "predicted_id": name,
                    "probability": probability,
                    "is_flip": name != prediction["predicted_id"],
                }
            )

    def write(self, commit=True):
        store = AuditStore(self.out)
        run = {**self.stamp, "config_digest": "c1", "finished_at": self.finished, "individuals": self.individuals}
        run |= {"inputs": self.inputs, **self.run}
        files = {
            table: store.write_table(table, table_from_rows(table, rows), self.batch_date, self.batch_key)
            for table, rows in [*self.tables.items(), ("runs", [run])]
        }
        if commit:
            content = {"model_digest": self.stamp["model_digest"], "config_digest": "c1", "files": files}
            content |= {"is_shadow": True} if self.run.get("is_shadow") else {}
            store.commit(self.batch_key, content | {"batch_date": self.batch_date.isoformat()})
        return self.out


def write_csv(path, rows):
    path = Path(path)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def label(out, folder, truths, now=datetime(2026, 3, 3, tzinfo=UTC), name="labels.csv", **columns):
    """Import file -> individual."""
    rows = [{"file": file, "individual_id": individual, **columns} for file, individual in truths.items()]
    return import_labels(out, write_csv(Path(folder) / name, rows), now=now)


def minutes(n):
    return START + timedelta(minutes=n)
