"""Putting events: in calls that EventBridge takes, each until it is taken."""

import json
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import event_bus
from infra.event_bus import MAX_BYTES, MAX_ENTRIES, NotPutError


class Bus:
    """Takes of each call what `refused` does not name by its place."""

    def __init__(self, refused: Iterator[set[int]] | None = None) -> None:
        self.calls: list[list[dict[str, str]]] = []
        self.taken: list[dict[str, str]] = []
        self._refused = repeat(set()) if refused is None else refused

    def put_events(self, **request: list[dict[str, str]]) -> dict[str, Any]:
        entries = request.pop("Entries")
        self.calls.append(entries)
        refused = next(self._refused)
        self.taken += [entry for place, entry in enumerate(entries) if place not in refused]
        results = [
            {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"} if place in refused else {"EventId": "e"}
            for place in range(len(entries))
        ]
        return {"FailedEntryCount": len(refused), "Entries": results}


def put(bus: Any, details: list[dict[str, Any]]) -> tuple[int, list[float]]:
    waits: list[float] = []
    return event_bus.put(bus, "monitoring.agent", "Log Error Found", details, waits.append), waits


def details(bus: Bus) -> list[dict[str, Any]]:
    return [json.loads(entry["Detail"]) for entry in bus.taken]


@given(st.lists(st.text(max_size=5) | st.integers(0, 25_000).map(lambda size: "é" * size), max_size=40))
def test_every_event_is_put_once_in_calls_within_the_limits(texts: list[str]) -> None:
    bus = Bus()
    told = [{"message": text} for text in texts]
    calls, waits = put(bus, told)
    assert details(bus) == told
    assert (calls, waits) == (len(bus.calls), [])
    for call in bus.calls:
        assert 1 <= len(call) <= MAX_ENTRIES
        size = sum(len(text.encode()) for entry in call for text in entry.values())
        assert size <= MAX_BYTES or len(call) == 1


def test_an_event_names_its_source_and_its_kind() -> None:
    bus = Bus()
    put(bus, [{"n": 1}])
    assert bus.taken == [{"Source": "monitoring.agent", "DetailType": "Log Error Found", "Detail": '{"n":1}'}]


def test_only_what_was_not_taken_is_put_again_after_a_while() -> None:
    bus = Bus(iter([{0, 3}, {1}, set()]))
    calls, waits = put(bus, [{"n": number} for number in range(5)])
    assert (calls, len(waits)) == (3, 2)
    assert [len(call) for call in bus.calls] == [5, 2, 1]
    assert sorted(detail["n"] for detail in details(bus)) == [0, 1, 2, 3, 4]


def test_what_is_never_taken_is_an_error_that_says_why_and_not_what() -> None:
    bus = Bus(repeat({0}))
    with pytest.raises(NotPutError, match="1 events were not taken: ThrottlingException") as error:
        put(bus, [{"message": "hunter2"}, {"message": "other"}])
    assert "hunter2" not in str(error.value)
    assert details(bus) == [{"message": "other"}]
