"""The request of an audit: what it is to do, and with which settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scd_core.config import AuditConfig, Settings
from scd_core.identify.spec import PackageSpec
from scd_core.inputs.config import load_config

__all__ = ["AuditRequest", "RunnerName", "settings_of", "settings_with_model"]

RunnerName = Literal["threads", "prefect", "ray"]


class AuditRequest(Settings):
    """What an audit is to do: the one set of parameters of the command line, the flows and the deployments."""

    source: str = Field(description="fsspec URL or path of the images")
    model: str | None = Field(None, description="URL or path of a model package")
    out: str = Field(description="URL or path where the audit tables are kept")
    shadow: str | None = Field(
        None,
        description="URL of the package of a second model, which names beside the first for `trapaudit compare`: without masks, "
        "its rows apart; where it fails the run does not",
    )
    predictions: str | None = Field(
        None,
        description="URL of names that another tool gave, which are audited in place of the model's; with a model as well, that "
        "makes their masks",
    )
    predictions_column: str | None = Field(None, description="column that holds the names, of a table of predictions")
    detections: str | None = Field(
        None, description="URL of MegaDetector or SpeciesNet JSON, a CSV of boxes, or Camtrap DP observations"
    )
    labels: str | None = Field(None, description="URL of names given by people")
    column: str | None = Field(None, description="column that holds the names, of a table of labels")
    by_person: bool = Field(
        False, description="a person has checked every name of the labels, which a classifier wrote"
    )
    flags: str | None = Field(None, description="URL of a CSV of files to look at")
    expected: str | None = Field(
        None,
        description="URL of a CSV of individuals expected at cameras or sites (individual_id, camera_id, site_id, from, to), "
        "which count as more probable there (settings.classify.expected_weight)",
    )
    config: str | None = Field(None, description="URL of a YAML or JSON file of settings")
    settings: AuditConfig = Field(AuditConfig(), description="settings given here; they win over those of the file")
    allow_unknown_labels: bool = Field(
        False,
        description="accept labels none of whose files is in SOURCE, and of individuals that the model does not know",
    )
    allow_waiting: bool = Field(False, description="accept labels none of whose files is in SOURCE")
    allow_new_names: bool = Field(
        False, description="accept labels of individuals that neither the model nor earlier labels know"
    )
    follow_links: bool = Field(False, description="follow links on a disk that lead out of SOURCE")
    all_prefixes: bool = Field(
        False, description="list closed folders too (settings.media.closed_after), which is done once a week otherwise"
    )
    only_complete: bool = Field(False, description="leave uploads that are still under way to a later run")
    report: bool = Field(True, description="refresh the error tables and the HTML report at the end")
    runner: RunnerName = Field(
        "threads", description="where shards are worked on: threads of one process, Prefect task runs, or a Ray cluster"
    )
    ray_address: str | None = Field(
        None, description="of a Ray cluster: HOST:6379, ray://HOST:10001 or auto; none takes the variable RAY_ADDRESS"
    )


def settings_of(config: str | None, settings: AuditConfig) -> AuditConfig:
    """The settings of a file, with those given beside it in their place.

    Raises:
        InputError: the file cannot be read, or has a setting that is not allowed.
    """
    # A form may send every field: what equals a default is no wish of its own.
    given = settings.model_dump(exclude_unset=True, exclude_defaults=True)
    if config is None or not given:
        return load_config(config) if config is not None else settings
    merged = load_config(config).model_dump(exclude_unset=True)
    for section, values in given.items():
        merged[section] = merged.get(section, {}) | values
    return AuditConfig.from_mapping(merged, f"config {config}")


def settings_with_model(request: AuditRequest, spec: PackageSpec | None) -> AuditConfig:
    """The settings of a request; where they do not give `classify.box_use`, that of the package that names.

    A form may send every field, so a value beside the file that equals the default is no wish; one in the file is.

    Raises:
        InputError: as :func:`settings_of`.
    """
    config = settings_of(request.config, request.settings)
    default = AuditConfig().classify.box_use
    is_in_file = request.config is not None and "box_use" in config.classify.model_fields_set
    if spec is None or spec.input.box_use is None or is_in_file or config.classify.box_use != default:
        return config
    return config.model_copy(update={"classify": config.classify.model_copy(update={"box_use": spec.input.box_use})})
