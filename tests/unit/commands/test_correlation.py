"""Alerts take monitoring events, each once: many at the same time, again after a crash, and long after."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands import correlation, execution
from commands.correlation import Fresh
from domain.alerts import ALERTS, RECENT, Alert, AlertState, alert_id
from domain.commit import check_chain
from domain.correlation import Occurrence
from domain.decider import fold
from domain.judgement import Judgement, Verdict
from domain.monitoring_config import Thresholds
from domain.sources.mapping import MappedEvent, State
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore

START = datetime(2026, 5, 1, 9, tzinfo=UTC)
STREAM = ALERTS.stream(alert_id("alarm:db-1"))


def occurrence(
    order: int, *, recorded_at: datetime | None = None, over: bool = False, tags: dict[str, str] | None = None
) -> Occurrence:
    mapped = MappedEvent(
        source="aws.cloudwatch",
        detail_type="CloudWatch Alarm State Change",
        title="db-1 is slow",
        severity=3,
        state=State.RESOLVED if over else State.OPEN,
        fingerprint="alarm:db-1",
        order=order,
        tags=tags,
    )
    judged = Judgement(verdict=Verdict.OVER if over else Verdict.PROBLEM, severity=3, config=0)
    at = recorded_at or START + timedelta(seconds=order)
    return Occurrence(f"{order}-uuid", mapped, judged, order, at)


class World:
    """A store, what stands in it, and a clock that goes on by a second for each command."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.now = START

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def take(self, *occurrences: Occurrence, warm: WarmHistories | None = None) -> None:
        correlation.take(self.store, warm or WarmHistories(), occurrences, Thresholds(), "system:ingest")

    @property
    def alert(self) -> Alert:
        commits = list(self.store.load(STREAM))
        assert check_chain(commits) is None
        alert = fold(ALERTS, commits)
        assert alert is not None
        return alert


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(correlation, "now", world.clock)
    monkeypatch.setattr(execution, "RETRY_CAP_SECONDS", 0.01)
    return world


def at_once(world: World, batches: Sequence[Sequence[Occurrence]]) -> None:
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda batch: world.take(*batch), batches))


def test_fifty_copies_at_the_same_time_are_one_occurrence(world: World) -> None:
    at_once(world, [[occurrence(1)]] * 50)
    assert (world.alert.count, world.alert.state) == (1, AlertState.OPEN)


def test_fifty_occurrences_at_the_same_time_are_one_alert_and_the_count_is_exact(world: World) -> None:
    at_once(world, [[occurrence(order)] for order in range(1, 51)])
    assert (world.alert.count, world.alert.openings, world.alert.last_seen) == (50, 1, 50)


@pytest.mark.parametrize("with_fresh", [True, False])
def test_what_is_too_large_for_one_commit_is_taken_in_several(world: World, with_fresh: bool) -> None:  # noqa: FBT001
    tags = {f"tag-{number}": "x" * 200 for number in range(50)}
    flapping = [occurrence(order, over=order % 2 == 0, tags=tags) for order in range(1, 101)]
    warm = WarmHistories()
    fresh = Fresh(frozenset(one.id for one in flapping), correlation.read(world.store, warm, "alarm:db-1"))
    random.Random(1).shuffle(flapping)
    for _ in range(2):  # once more after a crash
        correlation.take(world.store, warm, flapping, Thresholds(), "system:ingest", fresh if with_fresh else None)
    assert len(list(world.store.load(STREAM))) > 1
    assert (world.alert.count, world.alert.openings, world.alert.state) == (50, 50, AlertState.RESOLVED)


def test_a_batch_is_one_commit(world: World) -> None:
    world.take(*(occurrence(order) for order in range(500)))
    (commit,) = world.store.load(STREAM)
    assert (commit.count, world.alert.count) == (2, 500)


def test_what_comes_again_long_after_the_state_forgot_it_is_found_in_the_stream(world: World) -> None:
    warm = WarmHistories()
    occurrences = [
        occurrence(order, recorded_at=START + timedelta(seconds=order // 7)) for order in range(1, 12 * RECENT)
    ]
    for place in range(0, len(occurrences), 7):
        world.take(*occurrences[place : place + 7], warm=warm)
    before = list(world.store.load(STREAM))
    assert any(commit.snapshot for commit in before)
    for one in occurrences:
        world.take(one)
    assert list(world.store.load(STREAM)) == before


def test_what_was_recorded_but_not_counted_before_a_crash_is_counted_however_late_it_comes_again(world: World) -> None:
    crashed = occurrence(3)
    for order in range(4, 4 * RECENT):
        world.take(occurrence(order))
    count = world.alert.count
    world.take(crashed)
    world.take(crashed)
    assert (world.alert.count, world.alert.first_seen) == (count + 1, 3)


def test_the_stream_is_read_back_no_farther_than_the_event_is_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in range(1, 4 * RECENT):
        world.take(occurrence(order))
    taken: list[Any] = []
    load_back = world.store.load_back

    def counted(stream: str) -> Any:
        for commit in load_back(stream):
            taken.append(commit.at)
            yield commit

    new = occurrence(1_000, recorded_at=world.now - timedelta(seconds=10))
    monkeypatch.setattr(world.store, "load_back", counted)
    found = correlation._counted_since(world.store, STREAM, [new])
    assert found == set()
    assert len(taken) == 10 + 60 + 2  # the margin of the clocks, both ends


def test_nothing_is_written_when_nothing_changes(world: World) -> None:
    world.take(occurrence(1))
    world.take(occurrence(2, over=True))
    world.take(occurrence(2, over=True))
    assert len(list(world.store.load(STREAM))) == 2


def test_what_was_recorded_just_now_is_looked_for_only_in_what_was_appended_since(world: World) -> None:
    for order in range(1, 4 * RECENT):
        world.take(occurrence(order))
    warm = WarmHistories()
    before = correlation.read(world.store, warm, "alarm:db-1")
    new, both = occurrence(900), occurrence(901)
    world.take(both)  # another process met the same message, and was faster
    for order in range(1_000, 1_000 + 4 * RECENT):  # so much that the state forgot it
        world.take(occurrence(order))
    count = world.alert.count
    fresh = Fresh(frozenset({new.id, both.id}), before)
    correlation.take(world.store, warm, [new, both], Thresholds(), "system:ingest", fresh)
    assert world.alert.count == count + 1


def test_a_storm_of_new_events_reads_nothing_but_its_alert(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = WarmHistories()
    world.take(*(occurrence(order) for order in range(1, 4 * RECENT)), warm=warm)
    for name in ("load", "load_back"):
        monkeypatch.setattr(world.store, name, None)
    for order in range(1_000, 1_000 + 4 * RECENT):
        new = occurrence(order, recorded_at=world.now)
        fresh = Fresh(frozenset({new.id}), correlation.read(world.store, warm, "alarm:db-1"))
        correlation.take(world.store, warm, [new], Thresholds(), "system:ingest", fresh)
