"""What a task waits for is put down to the storage, to the model, and to the GPU, each once."""

from __future__ import annotations

import time

import pytest

from scd_core.storage.meter import current_meter, metered, storage_time
from scd_core.storage.retry import retry
from scd_core.storage.threads import ordered_map

PAUSE = 0.2


def test_own_requests_and_waits_for_helpers_are_storage_and_the_rest_is_not():
    def fetch(_: int) -> None:
        retry(lambda: time.sleep(PAUSE), "read")
        time.sleep(PAUSE)  # decoding: half of the helper's time

    with metered() as meter:
        retry(lambda: time.sleep(PAUSE), "read")
        list(ordered_map([1], fetch, 1, ahead=1))
        time.sleep(PAUSE)
    found = meter.seconds()
    assert found["task"] >= 4 * PAUSE and found["model"] == found["slot"] == 0
    assert 1.9 * PAUSE <= found["storage"] <= found["task"] - 1.5 * PAUSE, found


def test_time_with_the_model_is_without_its_waits():
    with metered() as meter, meter.model(waited_for_slot=3.0):
        time.sleep(PAUSE)
        retry(lambda: time.sleep(PAUSE), "read")
    found = meter.seconds()
    assert found["slot"] == 3.0 and 0.95 * PAUSE <= found["model"] <= found["task"] - 0.95 * PAUSE, found


def test_nothing_is_counted_where_nobody_counts_and_errors_pass():
    assert current_meter() is None
    with storage_time():
        pass
    with metered() as meter:
        with pytest.raises(KeyError):
            retry(lambda: {}["x"], "read")
        with pytest.raises(ZeroDivisionError):
            list(ordered_map([0], lambda n: 1 / n, 2, ahead=2))
        assert current_meter() is meter
    assert current_meter() is None
