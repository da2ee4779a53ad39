"""Carrying out commands: conflicts, repeats, and what is left in the stream."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.execution import Order, Outcome, execute, new_id, now
from domain.commit import GENESIS, CommandKey, Commit, chain_hash
from domain.decider import fold
from domain.errors import DomainError, NotFoundError, ReusedKeyError, StateConflictError
from domain.event import DomainEvent
from domain.tasks import (
    TASKS,
    ChangeTaskStatus,
    Priority,
    Status,
    Task,
    TaskCommented,
    TaskCreated,
    assign,
    change_status,
    existing,
)
from infra import history
from infra.event_store import CommitTooLargeError, ConflictError, GuardRefusedError, GuardWrite
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore
from infra.settings import MAX_APPEND_ATTEMPTS, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS

AT = datetime(2026, 4, 1, 12, 0, 0, 123_000, tzinfo=UTC)
CREATED = TaskCreated(title="Disk full", description="The disk of db-1 is full.", priority=Priority.HIGH)
ID = "0192"

Decide = Callable[[Task | None], Sequence[DomainEvent]]


def order(key: str | None = None, digest: str = "digest", at: datetime = AT) -> Order:
    command = None if key is None else CommandKey(key, digest)
    return Order(by="ada", at=at, correlation_id="co", causation_id="ca", command=command)


def said(text: str) -> Decide:
    def decide(task: Task | None) -> Sequence[DomainEvent]:
        existing(task)
        return [TaskCommented(comment_id=text, comment=text)]

    return decide


def create(store: MemoryEventStore, key: str | None = None, **options: Any) -> Outcome[Task]:
    return execute(store, TASKS, ID, lambda task: [] if task else [CREATED], order(key), creates=True, **options)


def stored(store: MemoryEventStore) -> list[Commit]:
    return list(store.load(TASKS.stream(ID)))


def comments(store: MemoryEventStore) -> list[str]:
    task = fold(TASKS, stored(store))
    return [comment.comment for comment in task.comments] if task else []


class Rivals(MemoryEventStore):
    """A store in which others are faster: before each of the next appends, one of `faster` happens."""

    def __init__(self) -> None:
        super().__init__()
        self.faster: list[Callable[[], object]] = []
        self.loads = 0

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        if self.faster:
            waiting, self.faster = self.faster, []
            waiting.pop(0)()
            self.faster = waiting
        super().append(commit, guards)

    def load(self, stream: str, after: int = 0) -> Iterator[Commit]:
        self.loads += 1
        return super().load(stream, after)

    def comment(self, text: str) -> Callable[[], object]:
        return lambda: execute(self, TASKS, ID, said(text), order())


@pytest.fixture
def store() -> Rivals:
    return Rivals()


@pytest.fixture
def waits() -> list[float]:
    return []


# ---- one command


def test_a_command_appends_what_it_decides_and_tells_the_state_after_it(store: Rivals) -> None:
    outcome = create(store)
    assert (outcome.version, outcome.repeated) == (1, False)
    assert outcome.state == fold(TASKS, stored(store))
    (commit,) = stored(store)
    assert (commit.stream, commit.version, commit.count) == ("task#0192", 1, 1)
    assert (commit.at, commit.by, commit.correlation_id, commit.causation_id) == (AT, "ada", "co", "ca")
    assert commit.hash == chain_hash(GENESIS, commit)


def test_a_change_follows_on_what_is_stored(store: Rivals) -> None:
    create(store)
    outcome = execute(store, TASKS, ID, lambda task: [*said("one")(task), *said("two")(task)], order())
    first, second = stored(store)
    assert (second.version, second.count, outcome.version) == (2, 2, 3)
    assert second.hash == chain_hash(first.hash, second)
    assert comments(store) == ["one", "two"]


def test_a_create_does_not_load(store: Rivals) -> None:
    create(store)
    assert store.loads == 0


def test_a_command_that_decides_nothing_appends_nothing(store: Rivals) -> None:
    create(store)
    outcome = execute(store, TASKS, ID, lambda task: assign(task, None), order("key"))
    assert (outcome.version, outcome.repeated) == (1, False)
    assert outcome.state == fold(TASKS, stored(store))
    assert len(stored(store)) == 1


def test_a_command_on_nothing_that_decides_nothing_has_no_state(store: Rivals) -> None:
    assert execute(store, TASKS, ID, lambda _: [], order()) == Outcome(None, 0)
    assert stored(store) == []


def test_a_refused_command_appends_nothing(store: Rivals) -> None:
    create(store)
    with pytest.raises(StateConflictError):
        execute(store, TASKS, ID, lambda task: change_status(task, ChangeTaskStatus(status=Status.CLOSED)), order())
    with pytest.raises(NotFoundError):
        execute(store, TASKS, "another", said("hello?"), order())
    assert len(stored(store)) == 1
    assert list(store.load("task#another")) == []


def test_a_command_that_is_too_large_appends_nothing_and_is_not_tried_again(store: Rivals, waits: list[float]) -> None:
    create(store)
    with pytest.raises(CommitTooLargeError):
        execute(store, TASKS, ID, said("x" * 400_000), order(), sleep=waits.append)
    assert (len(stored(store)), waits) == (1, [])


def test_a_refused_guard_appends_nothing_and_is_not_tried_again(store: Rivals, waits: list[float]) -> None:
    guard = GuardWrite({"Put": {"Item": {"pk": {"S": "email#1"}, "owner": {"S": "ada"}}}})
    states: list[tuple[Task | None, Task | None]] = []

    def guards(before: Task | None, after: Task | None) -> list[GuardWrite]:
        states.append((before, after))
        return [guard]

    first = create(store, guards=guards)
    assert states == [(None, first.state)]
    with pytest.raises(GuardRefusedError):
        execute(store, TASKS, "0193", lambda _: [CREATED], order(), creates=True, guards=guards, sleep=waits.append)
    assert list(store.load("task#0193")) == []
    assert waits == []


def test_an_expiry_goes_into_the_commit(store: Rivals) -> None:
    create(store, expires_at=1_800_000_000)
    assert stored(store)[0].expires_at == 1_800_000_000


def test_ids_are_new_and_in_order_of_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_the_time_of_a_command_is_utc_to_the_millisecond() -> None:
    at = now()
    assert at.tzinfo is UTC
    assert at.microsecond % 1000 == 0
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


# ---- conflicts


def test_after_a_conflict_the_command_is_decided_again_on_what_happened_meanwhile(
    store: Rivals, waits: list[float]
) -> None:
    create(store)
    store.faster = [store.comment("faster")]
    outcome = execute(
        store, TASKS, ID, lambda task: said(f"after {existing(task).comment_count}")(task), order(), sleep=waits.append
    )
    assert comments(store) == ["faster", "after 1"]
    assert (outcome.version, len(waits)) == (3, 1)


def test_a_conflict_can_make_a_command_needless_or_illegal(store: Rivals, waits: list[float]) -> None:
    create(store)

    def to(status: Status) -> Decide:
        return lambda task: change_status(task, ChangeTaskStatus(status=status))

    store.faster = [lambda: execute(store, TASKS, ID, to(Status.IN_PROGRESS), order())]
    assert execute(store, TASKS, ID, to(Status.IN_PROGRESS), order(), sleep=waits.append).version == 2
    store.faster = [lambda: execute(store, TASKS, ID, to(Status.CLOSED), order())]
    with pytest.raises(StateConflictError, match="closed can become in_progress, not open"):
        execute(store, TASKS, ID, to(Status.OPEN), order(), sleep=waits.append)
    assert [commit.version for commit in stored(store)] == [1, 2, 3]


def test_a_create_that_meets_another_one_loads_and_decides_again(store: Rivals, waits: list[float]) -> None:
    store.faster = [lambda: create(store)]
    outcome = create(store, sleep=waits.append)
    assert (outcome.version, outcome.repeated) == (1, False)
    assert len(stored(store)) == 1


def test_the_last_attempt_may_still_succeed(store: Rivals, waits: list[float]) -> None:
    create(store)
    store.faster = [store.comment(f"faster {n}") for n in range(MAX_APPEND_ATTEMPTS - 1)]
    assert execute(store, TASKS, ID, said("mine"), order(), sleep=waits.append).version == MAX_APPEND_ATTEMPTS + 1
    assert comments(store)[-1] == "mine"


def test_a_command_that_is_always_too_late_is_given_up_and_appends_nothing(store: Rivals, waits: list[float]) -> None:
    create(store)
    store.faster = [store.comment(f"faster {n}") for n in range(MAX_APPEND_ATTEMPTS)]
    with pytest.raises(ConflictError, match="task#0192 is written to by others"):
        execute(store, TASKS, ID, said("mine"), order(), sleep=waits.append)
    assert "mine" not in comments(store)
    assert len(comments(store)) == MAX_APPEND_ATTEMPTS


def test_between_attempts_it_waits_a_random_time_that_grows_up_to_a_cap(
    store: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    longest: list[tuple[float, float]] = []

    def chance(least: float, most: float) -> float:
        longest.append((least, most))
        return most / 2

    monkeypatch.setattr(random, "uniform", chance)
    waits: list[float] = []
    store.faster = [store.comment(f"faster {n}") for n in range(MAX_APPEND_ATTEMPTS)]
    with pytest.raises(ConflictError):
        execute(store, TASKS, ID, said("mine"), order(), sleep=waits.append)
    expected = [min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2**attempt) for attempt in range(MAX_APPEND_ATTEMPTS - 1)]
    assert longest == [(0, most) for most in expected]
    assert waits == [most / 2 for most in expected]


# ---- commands with a key


def test_a_repeat_of_a_create_gets_the_first_answer_and_appends_nothing(store: Rivals, waits: list[float]) -> None:
    first = create(store, "key")
    again = create(store, "key", sleep=waits.append)
    assert (again.state, again.version, again.repeated) == (first.state, first.version, True)
    assert len(stored(store)) == 1


def test_a_repeat_of_a_change_gets_the_first_answer_although_others_changed_more(store: Rivals) -> None:
    create(store)
    first = execute(store, TASKS, ID, said("mine"), order("key"))
    execute(store, TASKS, ID, said("another's"), order("another key"))
    again = execute(store, TASKS, ID, said("mine"), order("key"))
    assert (again.state, again.version, again.repeated) == (first.state, 2, True)
    assert comments(store) == ["mine", "another's"]


def test_a_repeat_is_not_decided_again_so_that_no_rule_can_refuse_it(store: Rivals) -> None:
    create(store)

    def start(task: Task | None) -> Sequence[DomainEvent]:
        if existing(task).status is not Status.OPEN:
            raise StateConflictError("started already")
        return change_status(task, ChangeTaskStatus(status=Status.IN_PROGRESS))

    execute(store, TASKS, ID, start, order("key"))
    assert execute(store, TASKS, ID, start, order("key")).repeated
    with pytest.raises(StateConflictError):
        execute(store, TASKS, ID, start, order("another key"))


def test_a_key_that_comes_back_with_another_request_is_refused(store: Rivals, waits: list[float]) -> None:
    create(store, "create")
    execute(store, TASKS, ID, said("one"), order("key", "digest of one"))
    with pytest.raises(ReusedKeyError, match="Idempotency-Key"):
        execute(store, TASKS, ID, said("two"), order("key", "digest of two"))
    with pytest.raises(ReusedKeyError):
        execute(store, TASKS, ID, lambda _: [CREATED], order("create", "other"), creates=True, sleep=waits.append)
    assert comments(store) == ["one"]


def test_without_a_key_the_same_request_is_another_command(store: Rivals) -> None:
    create(store)
    for _ in range(2):
        assert not execute(store, TASKS, ID, said("again"), order()).repeated
    assert comments(store) == ["again", "again"]


def test_a_repeat_that_runs_beside_the_first_one_finds_it_after_the_conflict(store: Rivals, waits: list[float]) -> None:
    create(store)
    firsts: list[Outcome[Task]] = []
    store.faster = [lambda: firsts.append(execute(store, TASKS, ID, said("once"), order("key")))]
    second = execute(store, TASKS, ID, said("once"), order("key"), sleep=waits.append)
    assert (second.state, second.version, second.repeated) == (firsts[0].state, 2, True)
    assert comments(store) == ["once"]


def test_a_create_repeated_at_the_same_moment_makes_one_task(store: Rivals) -> None:
    both_decided = threading.Barrier(2, timeout=30)

    def decide(task: Task | None) -> list[DomainEvent]:
        both_decided.wait()
        return [] if task else [CREATED]

    def send(_: int) -> Outcome[Task]:
        return execute(store, TASKS, ID, decide, order("key"), creates=True, sleep=lambda _: None)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(send, range(2)))
    assert sorted(answer.repeated for answer in answers) == [False, True]
    assert answers[0].state == answers[1].state
    assert len(stored(store)) == 1


def test_a_key_is_remembered_across_snapshots(store: Rivals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SNAPSHOT_COMMITS", 3)
    create(store)
    first = execute(store, TASKS, ID, said("mine"), order("key"))
    for number in range(20):
        execute(store, TASKS, ID, said(f"later {number}"), order())
    assert any(commit.snapshot for commit in stored(store))
    again = execute(store, TASKS, ID, said("mine"), order("key"))
    assert (again.state, again.version, again.repeated) == (first.state, 2, True)
    with pytest.raises(ReusedKeyError):
        execute(store, TASKS, ID, said("mine"), order("key", "another digest"))


# ---- warm histories


def test_a_warm_change_does_not_load(store: Rivals) -> None:
    warm = WarmHistories()
    create(store, warm=warm)
    execute(store, TASKS, ID, said("one"), order(), warm=warm)
    execute(store, TASKS, ID, said("two"), order(), warm=warm)
    assert store.loads == 0
    assert comments(store) == ["one", "two"]


def test_what_another_process_changed_is_met_as_a_conflict_and_then_known(store: Rivals, waits: list[float]) -> None:
    warm = WarmHistories()
    create(store, warm=warm)
    execute(store, TASKS, ID, said("another process"), order())
    decide = lambda task: said(f"after {existing(task).comment_count}")(task)  # noqa: E731
    assert execute(store, TASKS, ID, decide, order(), warm=warm, sleep=waits.append).version == 3
    assert execute(store, TASKS, ID, decide, order(), warm=warm, sleep=waits.append).version == 4
    assert comments(store) == ["another process", "after 1", "after 2"]
    assert len(waits) == 1


def test_nothing_is_refused_or_left_undone_because_of_a_warm_history_that_is_out_of_date(store: Rivals) -> None:
    warm = WarmHistories()
    create(store, warm=warm)

    def to(status: Status) -> Decide:
        return lambda task: change_status(task, ChangeTaskStatus(status=status))

    execute(store, TASKS, ID, to(Status.IN_PROGRESS), order())
    assert execute(store, TASKS, ID, to(Status.CLOSED), order(), warm=warm).version == 3
    execute(store, TASKS, ID, to(Status.IN_PROGRESS), order())
    assert execute(store, TASKS, ID, to(Status.CLOSED), order(), warm=warm).version == 5


# ---- any sequence


@dataclass(frozen=True)
class Sent:
    """A command that somebody sends: what it asks for, and how many rivals are faster each with one of their own."""

    what: str
    faster: tuple[str, ...] = ()
    key: int | None = None


STATUSES = {status.value: status for status in Status}
WHAT = st.sampled_from([*STATUSES, "comment", "two comments", "assign ada", "assign bob", "assign nobody"])
SENT = st.builds(Sent, WHAT, st.lists(WHAT, max_size=MAX_APPEND_ATTEMPTS + 1).map(tuple), st.none() | st.integers(0, 2))
STEPS = {("open", "in_progress"), ("in_progress", "open"), ("in_progress", "closed"), ("closed", "in_progress")}


class Model:
    """What a task is to be, in ten lines: its status, its assignee and its comments, and how many events made it."""

    def __init__(self) -> None:
        self.status, self.assignee, self.comments, self.version = "open", "nobody", 0, 1

    def events(self, what: str) -> int | None:
        """How many events a command makes now; None if it is refused."""
        if what in STATUSES:
            return 0 if what == self.status else 1 if (self.status, what) in STEPS else None
        if what.startswith("assign"):
            return int(what != f"assign {self.assignee}")
        return 2 if what == "two comments" else 1

    def apply(self, what: str) -> None:
        number = self.events(what) or 0
        self.version += number
        if number and what in STATUSES:
            self.status = what
        elif number and what.startswith("assign"):
            self.assignee = what.removeprefix("assign ")
        else:
            self.comments += number

    @property
    def facts(self) -> tuple[str, str, int, int]:
        return self.status, self.assignee, self.comments, self.version


def decision(what: str) -> Decide:
    if what in STATUSES:
        return lambda task: change_status(task, ChangeTaskStatus(status=STATUSES[what]))
    if what.startswith("assign"):
        who = what.removeprefix("assign ")
        return lambda task: assign(task, None if who == "nobody" else who)
    return lambda task: [*said(new_id())(task)] * (2 if what == "two comments" else 1)


def expected(model: Model, sent: Sent, done: dict[int, Any]) -> Any:
    """What the command's answer is to be: facts of the task, or the error's type. Moves the model."""
    rivals = list(sent.faster)
    for _ in range(MAX_APPEND_ATTEMPTS):
        if sent.key in done:
            what, answer = done[sent.key]
            return answer if what == sent.what else ReusedKeyError
        number = model.events(sent.what)
        if number is None:
            return StateConflictError
        if number == 0:
            return model.facts
        moved = model.version
        if rivals:
            model.apply(rivals.pop(0))
        if model.version == moved:
            model.apply(sent.what)
            if sent.key is not None:
                done[sent.key] = (sent.what, model.facts)
            return model.facts
    return ConflictError


def answered(store: Rivals, sent: Sent, warm: WarmHistories | None) -> Any:
    def rival(what: str) -> Callable[[], None]:
        def act() -> None:
            try:
                execute(store, TASKS, ID, decision(what), order())
            except DomainError:
                return

        return act

    store.faster = [rival(what) for what in sent.faster]
    named = order(None if sent.key is None else f"key {sent.key}", sent.what)
    try:
        outcome = execute(store, TASKS, ID, decision(sent.what), named, warm=warm, sleep=lambda _: None)
    except (DomainError, ConflictError) as error:
        return type(error)
    finally:
        store.faster = []
    task = existing(outcome.state)
    return task.status.value, task.assigned_user_id or "nobody", task.comment_count, outcome.version


@settings(max_examples=120, deadline=None)
@given(sequence=st.lists(SENT, max_size=12), snapshot_commits=st.integers(1, 30))
def test_any_commands_with_any_conflicts_leave_a_contiguous_chained_stream_and_the_models_task(
    sequence: list[Sent], snapshot_commits: int
) -> None:
    store, model, done = Rivals(), Model(), dict[int, Any]()
    create(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "SNAPSHOT_COMMITS", snapshot_commits)
        for sent in sequence:
            assert answered(store, sent, None) == expected(model, sent, done)
    check_stream(store, model)


@settings(max_examples=80, deadline=None)
@given(sequence=st.lists(st.tuples(WHAT, st.integers(0, 2), st.none() | st.integers(0, 2)), max_size=25))
def test_processes_that_keep_what_they_know_decide_as_if_they_kept_nothing(
    sequence: list[tuple[str, int, int | None]],
) -> None:
    """Three processes, the first two with warm histories, take turns on one task."""
    store, model, done = Rivals(), Model(), dict[int, Any]()
    processes = [WarmHistories(), WarmHistories(), None]
    create(store, warm=processes[0])
    for what, process, key in sequence:
        sent = Sent(what, key=key)
        assert answered(store, sent, processes[process]) == expected(model, sent, done)
    check_stream(store, model)


def check_stream(store: MemoryEventStore, model: Model) -> None:
    previous, version = GENESIS, 1
    for commit in stored(store):
        assert commit.version == version
        assert commit.count == len(commit.stored_events()) > 0
        assert commit.hash == chain_hash(previous, commit)
        previous, version = commit.hash, commit.last_version + 1
    task = fold(TASKS, stored(store))
    assert task is not None
    assert (task.status.value, task.assigned_user_id or "nobody", task.comment_count, version - 1) == model.facts
