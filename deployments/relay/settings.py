"""Settings of the relay: its secret, the sources it watches, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from deployments.relay.notifications import Upload
from scd_core.errors import InputError

__all__ = ["Place", "RelaySettings", "Wanted"]

_ENVIRONMENT = "TRAPAUDIT_RELAY_"
_MIN_SECRET = 16


class Place(NamedTuple):
    """A bucket and a prefix in it, without slashes at its ends; an empty prefix is the whole bucket."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Place of an S3 URL.

        Raises:
            ValueError: not one.
        """
        scheme, separator, rest = url.strip().partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme not in ("s3", "s3a") or not separator or not bucket:
            raise ValueError(f"expected s3://BUCKET or s3://BUCKET/PREFIX, got {url.strip()!r}")
        return cls(bucket, prefix.strip("/"))

    def holds(self, bucket: str, key: str) -> bool:
        """Whether an object lies here."""
        return bucket == self.bucket and (not self.prefix or key.startswith(f"{self.prefix}/"))

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where an upload belongs: the source that is watched, and its batch prefix."""

    source: Place
    batch: Place


class RelaySettings(BaseModel):
    """Settings of the relay; each is read from ``TRAPAUDIT_RELAY_`` and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: SecretStr | None = Field(None, description="shared secret of the webhook; none: the webhook is closed")
    sources: tuple[str, ...] = Field(description="s3:// URLs to watch; or TRAPAUDIT_SOURCE")
    ignore: tuple[str, ...] = Field((), description="s3:// URLs below them to leave out; or TRAPAUDIT_OUT")
    levels: int = Field(1, ge=0, le=8, description="leading folders below a source that are one upload")
    quiet_seconds: float = Field(
        60.0, ge=0, le=3600, description="an upload's event is due when no notification came for so long (s)"
    )
    max_wait_seconds: float = Field(
        900.0, gt=0, le=3600, description="or when its first notification is so old, however many still come (s)"
    )
    max_prefixes: int = Field(
        20, gt=0, description="uploads waiting at once; further ones count as one upload of their whole source"
    )
    max_body_bytes: int = Field(1_000_000, gt=0, description="largest notification (bytes); larger ones get 413")
    rate: float = Field(500.0, gt=0, description="notifications a second; more get 429")
    burst: int = Field(2_000, gt=0, description="notifications that may come at once")
    header_seconds: float = Field(
        10.0,
        gt=0,
        description="longest time from a connection to the end of a request's headers (s); then it is closed",
    )
    body_seconds: float = Field(
        30.0, gt=0, description="longest time that the body of a notification may take (s); longer ones get 408"
    )
    max_connections: int = Field(1_000, gt=0, description="connections at once; further ones get 503")
    tidy_seconds: float = Field(
        30.0, ge=0, description="how often surplus waiting runs are cancelled (s); 0 leaves that to the runs themselves"
    )
    runs_seconds: float = Field(
        60.0, gt=0, description="how often the last runs are read from Prefect's server, for `/metrics` (s)"
    )
    emit_timeout_seconds: float = Field(
        30.0, gt=0, description="longest wait for Prefect's server to take an event (s)"
    )
    retry_seconds: float = Field(
        5.0, gt=0, description="first wait after the server did not; doubles up to 5 minutes (s)"
    )
    queue_url: str | None = Field(None, description="an SQS queue to read notifications from")
    visibility_seconds: int = Field(120, ge=2, le=43_200, description="how long SQS hides a message; extended (s)")
    max_held: int = Field(10_000, gt=0, description="SQS messages held at once, waiting for their event")
    host: str = Field("127.0.0.1", description="address the webhook listens on")
    port: int = Field(8090, ge=0, le=65_535, description="port the webhook listens on")

    @field_validator("sources", "ignore")
    @classmethod
    def _places(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            Place.of(url)
        return urls

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.sources:
            raise ValueError("sources: name at least one s3:// URL to watch")
        if self.secret is None and self.queue_url is None:
            raise ValueError("secret: missing; set TRAPAUDIT_RELAY_SECRET or TRAPAUDIT_RELAY_SECRET_FILE")
        if self.secret is not None and len(self.secret.get_secret_value()) < _MIN_SECRET:
            raise ValueError(f"secret: at least {_MIN_SECRET} characters, such as from `openssl rand -hex 32`")
        if self.max_wait_seconds < self.quiet_seconds:
            raise ValueError("max_wait_seconds: shorter than quiet_seconds")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings from variables; an empty variable is one that is not set.

        Raises:
            InputError: a setting is missing or cannot be used.
        """
        values: dict[str, Any] = {
            name: text
            for name in cls.model_fields
            if (text := environment.get(_ENVIRONMENT + name.upper(), "").strip())
        }
        for name, instead in (("sources", "TRAPAUDIT_SOURCE"), ("ignore", "TRAPAUDIT_OUT")):
            own = values.get(name)
            # OUT may be a local disk, whose files are in no bucket.
            urls = (own or environment.get(instead, "")).replace(",", " ").split()
            values[name] = tuple(url for url in urls if own or url.startswith(("s3://", "s3a://")))
        if file := environment.get(f"{_ENVIRONMENT}SECRET_FILE", "").strip():
            try:
                values["secret"] = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"relay: {_ENVIRONMENT}SECRET_FILE {file}: cannot be read ({error})") from error
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            named = f"{_ENVIRONMENT}{field.upper()}: " if field else ""
            raise InputError(f"relay: {named}{first['msg'].removeprefix('Value error, ')}") from error

    def place_of(self, upload: Upload) -> Wanted | None:
        """The watched source and the batch prefix of an upload; None where it needs no event.

        A key counts as soon as either reading of it lies below a source: an audit too many finds nothing new.
        """
        for key in dict.fromkeys((upload.key, upload.other_key)):
            if any(place.holds(upload.bucket, key) for place in map(Place.of, self.ignore)):
                return None
            for source in map(Place.of, self.sources):
                if source.holds(upload.bucket, key):
                    below = key[len(source.prefix) :].strip("/").split("/")[:-1]
                    parts = [part for part in (source.prefix, *below[: self.levels]) if part]
                    batch = Place(source.bucket, "/".join(parts))
                    # PostgreSQL, and so Prefect, keeps no text with a NUL in it.
                    return Wanted(source, batch if "\0" not in batch.prefix else source)
        return None
