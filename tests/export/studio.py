"""What Label Studio does with tasks: it keeps their data, takes answers, and exports them in its forms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

FORMS = ("json", "json_min", "csv")


def answered(task: Mapping[str, Any], result: Sequence[Mapping[str, Any]], by: Any, at: str) -> dict[str, Any]:
    """A task as Label Studio holds it once a person has submitted an answer."""
    found = deepcopy(dict(task)) | {"id": 7}
    answer = {"id": 70, "result": list(deepcopy(result)), "completed_by": by, "was_cancelled": False, "lead_time": 3.5}
    found["annotations"] = [*found.get("annotations", []), answer | {"created_at": at, "updated_at": at}]
    return found


def loaded(tasks: Sequence[Mapping[str, Any]], at: str = "2026-03-20T10:00:00.123456Z") -> list[dict[str, Any]]:
    """Tasks as Label Studio holds them after the import: annotations are of the account that imported them, and of now."""
    found = [deepcopy(dict(task)) | {"id": number} for number, task in enumerate(tasks, 1)]
    for task in found:
        for answer in task.get("annotations", ()):
            answer |= {"id": 5, "completed_by": 1, "was_cancelled": False, "created_at": at, "updated_at": at}
    return found


def exported(tasks: Sequence[Mapping[str, Any]], form: str) -> str:
    """The export in one of the forms: JSON as it is; in the others a row an answer, with a column a control."""
    if form == "json":
        return json.dumps(tasks, ensure_ascii=False)
    rows = [_short(task, answer) for task in tasks for answer in task["annotations"] if not answer["was_cancelled"]]
    if form == "json_min":
        return json.dumps(rows, ensure_ascii=False)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(column, "") for column in columns]
        writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in cells])
    return sink.getvalue()


def _short(task: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(task["data"]) | {"id": task["id"]}
    controls: dict[str, list[Any]] = {}
    for result in answer["result"]:
        value = dict(result["value"])
        if result["type"] == "choices":
            said = value["choices"][0] if len(value["choices"]) == 1 else {"choices": value["choices"]}
        else:
            said = value | {key: result[key] for key in ("original_width", "original_height") if key in result}
        controls.setdefault(result["from_name"], []).append(said)
    for name, said in controls.items():
        row[name] = said[0] if len(said) == 1 and isinstance(said[0], str) else said
    by = answer["completed_by"]
    row["annotator"] = by["email"] if isinstance(by, Mapping) else by
    return row | {
        "annotation_id": answer["id"], "created_at": answer["created_at"], "updated_at": answer["updated_at"],
        "lead_time": answer.get("lead_time"),
    }  # fmt: skip
