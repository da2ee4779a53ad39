"""Snapshots, warm histories, and what a stream remembers of its commands."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from commands.execution import Order, Outcome, execute
from domain.commit import CommandKey, Commit, check_chain
from domain.decider import fold
from domain.errors import ReusedKeyError, StateConflictError
from domain.tasks import (
    TASKS,
    ChangeTaskStatus,
    CommentOnTask,
    CreateTask,
    Status,
    Task,
    TaskCommented,
    change_status,
    comment,
    create,
)
from infra import history
from infra.history import History, WarmHistories
from infra.memory_event_store import MemoryEventStore
from infra.settings import COMMANDS_KEPT, COMMANDS_KEPT_FOR, SNAPSHOT_COMMITS

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
TASK = "t-1"
STREAM = TASKS.stream(TASK)


class CountingStore(MemoryEventStore):
    """Notes how far back loads read."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.taken = 0

    def load_back(self, stream: str, until: int | None = None) -> Iterator[Commit]:
        self.loads += 1
        for commit in super().load_back(stream, until):
            self.taken += 1
            yield commit


def order(minute: int = 0, key: str | None = None, digest: str = "d") -> Order:
    return Order(
        by="u-1",
        at=BEGIN + timedelta(minutes=minute),
        correlation_id="co",
        causation_id="ca",
        command=CommandKey(key, digest) if key else None,
    )


def created(store: MemoryEventStore) -> Outcome[Task]:
    command = CreateTask(title="Look into it", description="Something is broken")
    given = order()
    return execute(store, TASKS, TASK, lambda _: create(command, given.context), given, creates=True)


def commented(
    store: MemoryEventStore, n: int, *, key: str | None = None, digest: str = "d", warm: WarmHistories | None = None
) -> Outcome[Task]:
    command = CommentOnTask(comment=f"comment {n}")
    return execute(store, TASKS, TASK, lambda task: comment(task, command, f"c-{n}"), order(n, key, digest), warm=warm)


def turned(store: MemoryEventStore, status: Status, warm: WarmHistories | None = None) -> Outcome[Task]:
    return execute(
        store, TASKS, TASK, lambda task: change_status(task, ChangeTaskStatus(status=status)), order(), warm=warm
    )


def test_a_load_stops_at_the_newest_snapshot_and_knows_the_same_as_the_events() -> None:
    store = CountingStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS * 3 + 4):
        commented(store, n)
    store.taken = 0
    loaded = history.load(store, TASKS, STREAM)
    assert store.taken <= SNAPSHOT_COMMITS
    assert loaded.state == fold(TASKS, store.load(STREAM))
    assert loaded.version == SNAPSHOT_COMMITS * 3 + 5
    assert check_chain(store.load(STREAM)) is None


def test_a_state_is_found_as_it_was_at_a_version_and_at_a_time() -> None:
    store = MemoryEventStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS + 4):
        commented(store, n)
    commits = list(store.load(STREAM))
    for number in (1, SNAPSHOT_COMMITS, SNAPSHOT_COMMITS + 2, len(commits)):
        then = fold(TASKS, commits[:number])
        assert history.load_until(store, TASKS, STREAM, commits[number - 1].last_version) == then
        at = commits[number - 1].at
        assert history.load_at(store, TASKS, STREAM, at) == fold(TASKS, [one for one in commits if one.at <= at])
    assert history.load_at(store, TASKS, STREAM, commits[0].at - timedelta(seconds=1)) is None


def test_every_kth_commit_carries_a_snapshot_and_no_other() -> None:
    store = MemoryEventStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS * 2):
        commented(store, n)
    carrying = [commit.version for commit in store.load(STREAM) if commit.snapshot]
    assert carrying == [SNAPSHOT_COMMITS, SNAPSHOT_COMMITS * 2]


def test_a_stream_of_one_large_commit_carries_none() -> None:
    store = MemoryEventStore()
    command = CreateTask(title="Look into it", description="x" * 5_000)
    comments = [TaskCommented(comment_id=f"c-{n}", comment="y" * 5_000) for n in range(8)]
    execute(store, TASKS, TASK, lambda _: [*create(command, order().context), *comments], order(), creates=True)
    assert [commit.snapshot for commit in store.load(STREAM)] == [None]


@pytest.mark.parametrize("fault", [b"not deflated", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_broken_snapshot_is_passed_over(fault: bytes) -> None:
    store = MemoryEventStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS):
        commented(store, n)
    store.streams[STREAM] = [replace(c, snapshot=fault) if c.snapshot else c for c in store.streams[STREAM]]
    assert history.load(store, TASKS, STREAM).state == fold(TASKS, store.load(STREAM))


def test_a_snapshot_of_another_schema_is_passed_over() -> None:
    store = CountingStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS + 2):
        commented(store, n)
    store.taken = 0
    newer = replace(TASKS, schema=TASKS.schema + 1)
    assert history.load(store, newer, STREAM).state == fold(TASKS, store.load(STREAM))
    assert store.taken == SNAPSHOT_COMMITS + 3


def test_a_snapshot_is_no_part_of_what_is_hashed() -> None:
    store = MemoryEventStore()
    created(store)
    for n in range(SNAPSHOT_COMMITS):
        commented(store, n)
    assert check_chain([replace(commit, snapshot=None) for commit in store.load(STREAM)]) is None


def test_a_repeat_from_before_the_snapshot_gets_the_first_answer_and_appends_nothing() -> None:
    store = MemoryEventStore()
    created(store)
    first = commented(store, 0, key="k")
    for n in range(1, SNAPSHOT_COMMITS * 2):
        commented(store, n)
    length = len(store.streams[STREAM])
    again = commented(store, 0, key="k")
    assert again == replace(first, repeated=True)
    assert len(store.streams[STREAM]) == length
    with pytest.raises(ReusedKeyError):
        commented(store, 0, key="k", digest="another request")


def test_commands_are_forgotten_only_when_they_are_both_old_and_far_back() -> None:
    store = MemoryEventStore()
    created(store)
    commented(store, 0, key="old and far back")
    day = COMMANDS_KEPT_FOR // 60
    for n in range(COMMANDS_KEPT - 1):
        commented(store, day + 2 + n, key=f"k-{n}")
    assert history.load(store, TASKS, STREAM).command("old and far back")
    commented(store, day + 2 + COMMANDS_KEPT, key="one more")
    assert history.load(store, TASKS, STREAM).command("old and far back") is None
    # Many within a day are all remembered.
    for n in range(COMMANDS_KEPT + 20):
        commented(store, day + 3 + COMMANDS_KEPT, key=f"burst-{n}")
    assert history.load(store, TASKS, STREAM).command("burst-0")


def test_a_change_from_a_warm_history_loads_nothing() -> None:
    store, warm = CountingStore(), WarmHistories()
    created(store)
    commented(store, 0, warm=warm)
    assert store.loads == 1
    commented(store, 1, warm=warm)
    assert store.loads == 1
    assert check_chain(store.load(STREAM)) is None


def test_a_conflict_evicts_what_was_kept() -> None:
    store, warm = CountingStore(), WarmHistories()
    created(store)
    commented(store, 0, warm=warm)
    commented(store, 1)  # another process
    assert commented(store, 2, warm=warm).version == 4
    assert store.loads == 3
    assert check_chain(store.load(STREAM)) is None


def test_nothing_is_refused_because_of_what_was_kept() -> None:
    store, warm = MemoryEventStore(), WarmHistories()
    created(store)
    turned(store, Status.IN_PROGRESS, warm)
    turned(store, Status.CLOSED, warm)
    turned(store, Status.IN_PROGRESS)  # another process
    turned(store, Status.OPEN)
    assert warm.get(STREAM).state.status is Status.CLOSED  # type: ignore[union-attr]
    assert turned(store, Status.IN_PROGRESS, warm).version == 6  # legal from closed too: the conflict tells
    turned(store, Status.CLOSED)  # another process, while this one thinks that it is in progress
    turned(store, Status.IN_PROGRESS)
    turned(store, Status.OPEN)
    with pytest.raises(StateConflictError):
        turned(store, Status.CLOSED, warm)


def test_nothing_is_left_undone_because_of_what_was_kept() -> None:
    store, warm = MemoryEventStore(), WarmHistories()
    created(store)
    turned(store, Status.IN_PROGRESS, warm)
    turned(store, Status.OPEN)  # another process
    outcome = turned(store, Status.IN_PROGRESS, warm)  # "no change" by what was kept
    assert (outcome.version, len(store.streams[STREAM])) == (4, 4)


def test_the_stream_that_was_not_used_for_longest_goes() -> None:
    warm = WarmHistories(2)
    warm.keep("a", History())
    warm.keep("b", History())
    warm.get("a")
    warm.keep("c", History())
    assert warm.get("b") is None
    assert warm.get("a")
    assert warm.get("c")
