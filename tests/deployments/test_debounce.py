"""When the event of an upload is due, with a clock that stands still."""

from __future__ import annotations

import pytest

from deployments.relay.debounce import Debouncer
from deployments.relay.notifications import Upload
from deployments.relay.settings import Place, RelaySettings, Wanted
from scd_core.errors import InputError

from .conftest import SECRET, settings

CARDS = Place("cards", "")


def wanted(prefix: str) -> Wanted:
    return Wanted(CARDS, Place("cards", prefix))


def test_a_burst_waits_until_it_is_quiet() -> None:
    debouncer = Debouncer(60, 300, 10)
    for second in (0, 30, 80):
        debouncer.add(wanted("a"), second)
    assert debouncer.take_due(139.9) == []
    (burst,) = debouncer.take_due(140)
    assert (burst.batch, burst.n, burst.first, burst.last) == (Place("cards", "a"), 3, 0, 80)
    assert len(debouncer) == 0


def test_a_burst_that_never_rests_is_due_all_the_same() -> None:
    debouncer = Debouncer(60, 300, 10)
    for second in range(0, 300, 10):
        debouncer.add(wanted("a"), second)
        assert debouncer.take_due(second) == []
    assert [burst.n for burst in debouncer.take_due(300)] == [30]


def test_each_prefix_rests_by_itself() -> None:
    debouncer = Debouncer(60, 300, 10)
    debouncer.add(wanted("a"), 0)
    debouncer.add(wanted("b"), 50)
    assert [str(burst.batch) for burst in debouncer.take_due(60)] == ["cards/a"]
    assert [str(burst.batch) for burst in debouncer.take_due(110)] == ["cards/b"]


def test_memory_is_bounded_by_prefixes() -> None:
    debouncer = Debouncer(60, 300, 5)
    for number in range(1000):
        debouncer.add(wanted(f"card{number}"), number / 1000)
    assert len(debouncer) == 6
    bursts = debouncer.take_due(0, everything=True)
    assert {str(burst.batch): burst.n for burst in bursts}["cards"] == 995
    assert sum(burst.n for burst in bursts) == 1000


def test_what_could_not_be_emitted_waits_with_what_came_meanwhile() -> None:
    debouncer = Debouncer(60, 300, 5)
    debouncer.add(wanted("a"), 0)
    (burst,) = debouncer.take_due(60)
    debouncer.add(wanted("a"), 65)
    debouncer.put_back(burst, not_before=200)
    assert debouncer.take_due(199) == []
    assert [burst.n for burst in debouncer.take_due(200)] == [2]


@pytest.mark.parametrize(
    ("key", "levels", "prefix"),
    [
        ("cards/2026/cam1/a.jpg", 1, "cards/2026"),
        ("cards/2026/cam1/a.jpg", 2, "cards/2026/cam1"),
        ("cards/2026/cam1/a.jpg", 0, "cards"),
        ("cards/a.jpg", 3, "cards"),
        ("other/a.jpg", 1, None),
        ("cards2/a.jpg", 1, None),
        ("cards/audit/commits/x.json", 1, None),
    ],
)
def test_place_of_a_key(key: str, levels: int, prefix: str | None) -> None:
    relay = settings(sources=("s3://b/cards",), ignore=("s3://b/cards/audit",), levels=levels)
    found = relay.place_of(Upload("b", key, key))
    assert (found and found.batch) == (None if prefix is None else Place("b", prefix))


def test_a_key_counts_in_either_reading() -> None:
    relay = settings(sources=("s3://b/site 1",))
    assert relay.place_of(Upload("b", "site+1/a.jpg", "site 1/a.jpg")) is not None
    assert relay.place_of(Upload("c", "site 1/a.jpg", "site 1/a.jpg")) is None


def test_settings_come_from_the_environment(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    relay = RelaySettings.from_environment(
        {
            "TRAPAUDIT_RELAY_SECRET_FILE": str(file),
            "TRAPAUDIT_SOURCE": "s3://cards/2026",
            "TRAPAUDIT_OUT": "/data/audit",
            "TRAPAUDIT_RELAY_QUIET_SECONDS": "5",
            "TRAPAUDIT_RELAY_PORT": "",
        }
    )
    assert relay.secret is not None and relay.secret.get_secret_value() == SECRET
    assert (relay.sources, relay.ignore, relay.quiet_seconds, relay.port) == (("s3://cards/2026",), (), 5.0, 8090)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "name at least one s3:// URL"),
        ({"TRAPAUDIT_SOURCE": "s3://cards"}, "secret: missing; set TRAPAUDIT_RELAY_SECRET"),
        ({"TRAPAUDIT_SOURCE": "s3://cards", "TRAPAUDIT_RELAY_SECRET": "short"}, "at least 16 characters"),
        ({"TRAPAUDIT_RELAY_SOURCES": "/data/cards", "TRAPAUDIT_RELAY_SECRET": SECRET}, "expected s3://BUCKET"),
        ({"TRAPAUDIT_SOURCE": "s3://c", "TRAPAUDIT_RELAY_SECRET": SECRET, "TRAPAUDIT_RELAY_PORT": "x"}, "RELAY_PORT"),
        ({"TRAPAUDIT_SOURCE": "s3://c", "TRAPAUDIT_RELAY_SECRET_FILE": "/nowhere/x"}, "cannot be read"),
    ],
)
def test_unusable_settings_are_refused_in_words(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        RelaySettings.from_environment(environment)
    assert SECRET not in str(caught.value)
    assert "short" not in str(caught.value)
