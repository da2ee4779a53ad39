"""What falls on each partition key of the views while 3,000 events a second arrive: `benchmarks.key_plan`."""

import random
from collections.abc import Iterator
from functools import cache

import pytest

from benchmarks import projected
from benchmarks.key_plan import EVENTS_A_SECOND, LIMIT, Load, Tally, families, tallied
from infra import generations
from infra.views import EVENT_SHARDS

BATCH = 100
KINDS = 60
"""Combinations of source and severity that arrive within a second."""


@pytest.fixture(autouse=True)
def _own_generations() -> Iterator[None]:
    generations.forget()
    yield
    generations.forget()


@cache
def second() -> Tally:
    """Of AWS's events, with rows up to 1 KB, of one day."""
    return tallied(Load("", projected.monitoring_events(EVENTS_A_SECOND, random.Random(1), kinds=KINDS)), BATCH)


def test_no_key_gets_more_units_than_a_partition_takes() -> None:
    assert max(second().units.values()) <= LIMIT


def test_the_events_of_a_day_are_spread_over_its_shards() -> None:
    rows = [units for key, units in second().units.items() if key.startswith("1|event#")]
    assert len(rows) == EVENT_SHARDS
    assert sum(rows) == 2 * EVENTS_A_SECOND  # a row is written once, in a transaction
    assert max(rows) < 1.25 * sum(rows) / EVENT_SHARDS


def test_a_load_that_a_key_cannot_take_is_seen() -> None:
    same = random.Random(1)
    made = projected.Tasks(same).create(600)
    busiest = families(tallied(Load("", made), BATCH).units)
    assert busiest["counter#tasks"] > busiest["gsi1 tasks"] > 600 / 4  # of four priorities one has a quarter at least


def test_a_change_of_status_is_seen_in_both_partitions_of_each_index() -> None:
    tasks = projected.Tasks(random.Random(1))
    before = tasks.create(20)
    units = tallied(Load("", tasks.each(projected.moved), before), BATCH).units
    moved = {name: sum(n for key, n in units.items() if key.startswith(name)) for name in ("gsi1", "gsi2")}
    assert moved == {"gsi1": 40, "gsi2": 40}  # an entry removed and one put, for each task
    assert {key.split("#")[1] for key in units if key.startswith("gsi1")} == {"open", "in_progress"}
