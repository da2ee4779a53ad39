"""The event store's contract, the same for the one in memory and the one on DynamoDB, and what DynamoDB is asked."""

import base64
import contextlib
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from commands.execution import Order, execute
from domain.commit import GENESIS, CommandKey, Commit, chain_hash, encode_events, sealed
from domain.event import encode
from domain.tasks import TASKS, Priority, Task, TaskCommented, TaskCreated
from infra.commits import from_item, to_item
from infra.event_store import (
    MAX_ITEM_BYTES,
    CommitTooLargeError,
    ConflictError,
    DynamoDBEventStore,
    EventStore,
    GuardRefusedError,
    GuardWrite,
)
from infra.guards import Guards
from infra.memory_event_store import MemoryEventStore

AT = datetime(2026, 4, 1, 12, 0, 0, 123_000, tzinfo=UTC)
STREAM = "task#0192"
CREATED = TaskCreated(title="Disk full", description="The disk of db-1 is full.", priority=Priority.HIGH)

_ids = itertools.count()


def commit(previous: Commit | None = None, *comments: str, **changes: Any) -> Commit:
    """The commit that follows on `previous`, with these comments; or a stream's first one."""
    events = [TaskCommented(comment_id=str(next(_ids)), comment=text) for text in comments] if previous else [CREATED]
    content = {
        "stream": previous.stream if previous else STREAM,
        "version": previous.last_version + 1 if previous else 1,
        "count": len(events),
        "id": f"commit-{next(_ids)}",
        "at": AT,
        "by": "ada",
        "correlation_id": "co",
        "causation_id": "ca",
        "command": None,
        "encoded": encode_events([encode(event) for event in events]),
        "expires_at": None,
    }
    return sealed(previous.hash if previous else GENESIS, **{**content, **changes})


def order(by: str = "ada", command: CommandKey | None = None) -> Order:
    return Order(by=by, at=AT, correlation_id="co", causation_id="ca", command=command)


class Calls:
    """Counts a client's calls by botocore's own events: of each operation, and of all its requests by HTTP."""

    def __init__(self, client: Any) -> None:
        self.made: list[str] = []
        client.meta.events.register("before-call.dynamodb.*", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.made.append(model.name)

    def during(self, action: Callable[[], object]) -> list[str]:
        """The calls that an action makes."""
        before = len(self.made)
        action()
        return self.made[before:]


class LosesAnswers:
    """A client that does what botocore does when an answer gets lost: it sends the same request again."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in {"put_item", "transact_write_items"}:
            return call

        def twice(**request: Any) -> Any:
            call(**request)
            return call(**request)

        return twice


class OneAtATime:
    """A client for threads: moto checks a condition and writes in two steps, where DynamoDB does both in one."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def locked(**request: Any) -> Any:
            with self._lock:
                return call(**request)

        return locked


@pytest.fixture(scope="module")
def account() -> Iterator[boto3.Session]:
    """An AWS account without anything in it. Its clients share what is slow to make."""
    with mock_aws():
        yield boto3.Session("test", "test", region_name="eu-central-1")


@pytest.fixture
def client(account: boto3.Session) -> Iterator[Any]:
    """A client of an account that has the two tables that the write side writes to, empty."""
    client: Any = account.client("dynamodb")
    for table, keys in (("events", {"pk": "S", "sk": "N"}), ("guards", {"pk": "S"})):
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()],
            KeySchema=[
                {"AttributeName": name, "KeyType": use} for name, use in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    yield client
    for table in ("events", "guards"):
        client.delete_table(TableName=table)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> EventStore:
    if request.param == "memory":
        return MemoryEventStore()
    return DynamoDBEventStore(request.getfixturevalue("client"), "events")


def take(email: str) -> GuardWrite:
    client: Any = None  # a guard's write is described without any call
    return Guards(client, "guards", b"key").take_email(email, "ada")


# ---- the contract


def test_a_stream_that_was_never_written_to_is_empty(store: EventStore) -> None:
    assert list(store.load(STREAM)) == []


def test_a_commit_is_loaded_as_it_was_appended(store: EventStore) -> None:
    first = commit(command=CommandKey("ada POST /tasks key with blanks", "digest"))
    store.append(first)
    assert list(store.load(STREAM)) == [first]
    assert chain_hash(GENESIS, next(store.load(STREAM))) == first.hash


def test_what_may_be_absent_and_what_is_not_ascii_comes_back_too(store: EventStore) -> None:
    first = commit(command=None, expires_at=1_800_000_000, by="ädä", correlation_id="🔥")
    store.append(first)
    second = commit(first, 'Grüße, 日本 🔥 \\ " \n \x00', "")
    store.append(second)
    assert list(store.load(STREAM)) == [first, second]


def test_commits_come_in_order_whatever_the_number_of_digits(store: EventStore) -> None:
    commits = [commit()]
    for number in range(11):
        commits.append(commit(commits[-1], f"comment {number}"))
    for each in commits:
        store.append(each)
    assert [each.version for each in store.load(STREAM)] == list(range(1, 13))
    assert list(store.load(STREAM)) == commits


def test_several_events_of_one_commit_are_numbered_on(store: EventStore) -> None:
    first = commit()
    second = commit(first, "one", "two", "three")
    third = commit(second, "four")
    for each in (first, second, third):
        store.append(each)
    assert [(each.version, each.count, each.last_version) for each in store.load(STREAM)] == [
        (1, 1, 1),
        (2, 3, 4),
        (5, 1, 5),
    ]
    assert [recorded.version for each in store.load(STREAM) for recorded in each.recorded()] == [1, 2, 3, 4, 5]


def test_streams_do_not_see_each_other(store: EventStore) -> None:
    mine, yours = commit(), commit(stream="task#0193")
    store.append(mine)
    store.append(yours)
    assert (list(store.load(STREAM)), list(store.load("task#0193"))) == ([mine], [yours])


def test_loading_after_a_version_leaves_out_what_begins_before_it(store: EventStore) -> None:
    first = commit()
    second = commit(first, "one", "two")
    third = commit(second, "three")
    for each in (first, second, third):
        store.append(each)
    assert list(store.load(STREAM, after=0)) == [first, second, third]
    assert list(store.load(STREAM, after=1)) == [second, third]
    assert list(store.load(STREAM, after=3)) == [third]
    assert list(store.load(STREAM, after=4)) == []


def test_a_stream_is_read_backwards_from_its_end(store: EventStore) -> None:
    commits = [commit()]
    for number in range(60):
        commits.append(commit(commits[-1], f"comment {number}"))
    for each in commits:
        store.append(each)
    assert list(store.load_back(STREAM)) == commits[::-1]
    assert list(itertools.islice(store.load_back(STREAM), 2)) == [commits[-1], commits[-2]]
    assert list(store.load_back("task#none")) == []


def test_where_another_commit_stands_the_append_is_a_conflict_and_changes_nothing(store: EventStore) -> None:
    first = commit()
    theirs, mine = commit(first, "theirs"), commit(first, "mine")
    store.append(first)
    store.append(theirs)
    with pytest.raises(ConflictError, match="version 2 of task#0192"):
        store.append(mine)
    assert list(store.load(STREAM)) == [first, theirs]


def test_a_commit_that_stands_there_already_is_my_own_whose_answer_was_lost(store: EventStore) -> None:
    first = commit()
    store.append(first)
    store.append(first)
    assert list(store.load(STREAM)) == [first]


def test_a_commit_with_my_id_and_another_content_is_not_mine(store: EventStore) -> None:
    first = commit()
    store.append(first)
    with pytest.raises(ConflictError):
        store.append(commit(id=first.id, by="eve"))
    assert list(store.load(STREAM)) == [first]


def test_a_commit_that_is_too_large_is_refused_before_anything_is_written(store: EventStore) -> None:
    first = commit()
    store.append(first)
    with pytest.raises(CommitTooLargeError, match=r"task#0192; DynamoDB takes 400,000"):
        store.append(commit(first, "x" * MAX_ITEM_BYTES))
    with pytest.raises(CommitTooLargeError):
        store.append(commit(first, "🔥" * (MAX_ITEM_BYTES // 4)))
    assert list(store.load(STREAM)) == [first]


def test_a_commit_and_its_guard_are_written_together(store: EventStore) -> None:
    first = commit()
    store.append(first, [take("ada@example.com")])
    assert list(store.load(STREAM)) == [first]
    with pytest.raises(GuardRefusedError):
        store.append(commit(stream="task#0193"), [take("ada@example.com")])


def test_a_refused_guard_leaves_neither_the_commit_nor_another_guard(store: EventStore) -> None:
    store.append(commit(), [take("ada@example.com")])
    with pytest.raises(GuardRefusedError):
        store.append(commit(stream="task#0193"), [take("bob@example.com"), take("ada@example.com")])
    assert list(store.load("task#0193")) == []
    store.append(commit(stream="task#0194"), [take("bob@example.com")])


def test_a_conflict_goes_before_a_guard_and_does_not_take_it(store: EventStore) -> None:
    store.append(commit())
    with pytest.raises(ConflictError):
        store.append(commit(), [take("ada@example.com")])
    store.append(commit(stream="task#0193"), [take("ada@example.com")])


def test_a_guarded_commit_whose_answer_was_lost_is_not_refused_by_its_own_guard(store: EventStore) -> None:
    first = commit()
    store.append(first, [take("ada@example.com")])
    store.append(first, [take("ada@example.com")])
    assert list(store.load(STREAM)) == [first]


# ---- racing


@pytest.fixture
def _eager_threads() -> Iterator[None]:
    """Threads that take turns a thousand times as often as they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def race(store: EventStore, streams: Sequence[str], threads: int = 8) -> Counter[str]:
    """Each thread comments once on each stream. All have loaded a stream before the first one may append to it.

    Returns how many conflicts there were on each stream. A thread meets at most one conflict for each of the others,
    so that no command is ever given up.
    """
    for stream in streams:
        execute(store, TASKS, stream, lambda _: [CREATED], order(), creates=True)
    all_loaded = threading.Barrier(threads, timeout=30)
    conflicts: Counter[str] = Counter()
    counting = threading.Lock()

    def run(thread: int) -> None:
        for stream in streams:
            first = True

            def decide(task: Task | None) -> list[TaskCommented]:
                nonlocal first
                assert task is not None
                if first:
                    first = False
                    all_loaded.wait()
                return [TaskCommented(comment_id=f"{thread}", comment=f"after {task.comment_count}")]

            def conflict(_seconds: float, stream: str = stream) -> None:
                with counting:
                    conflicts[stream] += 1

            execute(store, TASKS, stream, decide, order(by=f"thread-{thread}"), sleep=conflict)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, thread) for thread in range(threads)]:
            done.result()
    return conflicts


def check_raced(store: EventStore, streams: Sequence[str], threads: int = 8) -> None:
    """Every thread's comment is in every stream once, each decided on the state that it follows on."""
    for stream in streams:
        previous, comments = GENESIS, []
        for expected, each in enumerate(store.load(TASKS.stream(stream)), start=1):
            assert each.version == expected
            assert each.hash == chain_hash(previous, each)
            previous = each.hash
            comments += [recorded.event for recorded in each.recorded() if isinstance(recorded.event, TaskCommented)]
        assert [said.comment for said in comments] == [f"after {n}" for n in range(threads)]
        assert sorted(said.comment_id for said in comments) == [str(thread) for thread in range(threads)]


@pytest.mark.usefixtures("_eager_threads")
def test_threads_racing_on_the_same_streams_lose_nothing_and_do_nothing_twice() -> None:
    store = MemoryEventStore()
    streams = [f"0192-{number}" for number in range(40)]
    conflicts = race(store, streams)
    assert all(conflicts[stream] >= 7 for stream in streams)
    check_raced(store, streams)


def test_threads_racing_on_dynamodb_lose_nothing_and_do_nothing_twice(client: Any) -> None:
    store = DynamoDBEventStore(OneAtATime(client), "events")  # type: ignore[arg-type]
    conflicts = race(store, ["0192-0", "0192-1"])
    assert all(conflicts[stream] >= 7 for stream in ("0192-0", "0192-1"))
    check_raced(store, ["0192-0", "0192-1"])


def test_one_command_sent_by_eight_threads_at_once_is_carried_out_once(store: EventStore) -> None:
    if isinstance(store, DynamoDBEventStore):
        store = DynamoDBEventStore(OneAtATime(store._client), "events")  # type: ignore[arg-type]
    execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
    all_loaded = threading.Barrier(8, timeout=30)
    key = CommandKey("ada POST key", "digest")

    def send(thread: int) -> tuple[int, bool]:
        def decide(_: Task | None) -> list[TaskCommented]:
            all_loaded.wait()
            return [TaskCommented(comment_id=str(thread), comment="once")]

        outcome = execute(store, TASKS, "0192", decide, order(command=key), sleep=lambda _: None)
        return outcome.version, outcome.repeated

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert sorted(answers) == [(2, False)] + [(2, True)] * 7
    assert [each.version for each in store.load(STREAM)] == [1, 2]


# ---- what DynamoDB is asked


def test_creating_takes_one_call_and_changing_two(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    created = calls.during(lambda: execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True))
    assert created == ["PutItem"]
    said = [TaskCommented(comment_id=str(number), comment="x") for number in range(5)]
    changed = calls.during(lambda: execute(store, TASKS, "0192", lambda _: said, order()))
    assert changed == ["Query", "PutItem"]
    assert len(client.scan(TableName="events")["Items"]) == 2


def test_a_command_that_changes_nothing_writes_nothing(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    store.append(commit())
    assert calls.during(lambda: execute(store, TASKS, "0192", lambda _: [], order())) == ["Query"]


def test_a_conflict_takes_two_more_calls(client: Any, account: boto3.Session) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    rival = DynamoDBEventStore(account.client("dynamodb"), "events")
    first = commit()
    store.append(first)
    rivals = [commit(first, "faster")]

    def decide(_: Task | None) -> list[TaskCommented]:
        while rivals:
            rival.append(rivals.pop())
        return [TaskCommented(comment_id="mine", comment="slower")]

    changed = calls.during(lambda: execute(store, TASKS, "0192", decide, order(), sleep=lambda _: None))
    assert changed == ["Query", "PutItem", "Query", "PutItem"]


def test_a_repeated_create_takes_an_append_that_fails_and_a_load(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    named = order(command=CommandKey("ada POST key", "digest"))
    execute(store, TASKS, "0192", lambda _: [CREATED], named, creates=True)

    def again() -> None:
        outcome = execute(store, TASKS, "0192", lambda _: [CREATED], named, creates=True, sleep=lambda _: None)
        assert outcome.repeated

    assert calls.during(again)[:2] == ["PutItem", "Query"]
    assert len(list(store.load(STREAM))) == 1


def test_a_guard_takes_one_transaction(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    assert calls.during(lambda: store.append(commit(), [take("ada@example.com")])) == ["TransactWriteItems"]


def test_a_commit_too_large_is_not_even_sent(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)

    def too_large() -> None:
        with contextlib.suppress(CommitTooLargeError):
            store.append(commit(commit(), "x" * MAX_ITEM_BYTES))

    assert calls.during(too_large) == []


def test_a_commit_of_the_greatest_size_is_taken(client: Any) -> None:
    store = DynamoDBEventStore(client, "events")
    first = commit()
    store.append(first)
    largest = commit(first, "x" * (MAX_ITEM_BYTES - 1_100))
    store.append(largest)
    assert list(store.load(STREAM, after=1)) == [largest]


def test_a_stream_longer_than_a_page_of_one_mb_is_loaded_page_by_page(client: Any) -> None:
    store, calls = DynamoDBEventStore(client, "events"), Calls(client)
    commits = [commit()]
    for _ in range(4):
        commits.append(commit(commits[-1], "x" * 300_000))
    for each in commits:
        store.append(each)
    loaded: list[Commit] = []
    assert calls.during(lambda: loaded.extend(store.load(STREAM))) == ["Query", "Query"]
    assert loaded == commits
    assert list(store.load_back(STREAM)) == commits[::-1]
    assert calls.during(lambda: next(store.load(STREAM))) == ["Query"]


def test_every_load_is_strongly_consistent(client: Any) -> None:
    asked: list[Any] = []
    client.meta.events.register("provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params))
    store = DynamoDBEventStore(client, "events")
    list(store.load(STREAM))
    list(store.load_back(STREAM))
    assert [request["ConsistentRead"] for request in asked] == [True, True]


def test_an_append_whose_answer_is_lost_succeeds(client: Any) -> None:
    store = DynamoDBEventStore(LosesAnswers(client), "events")  # type: ignore[arg-type]
    first = commit()
    store.append(first)
    second = commit(first, "two")
    store.append(second)
    assert list(store.load(STREAM)) == [first, second]


def test_a_guarded_append_whose_answer_is_lost_succeeds(client: Any) -> None:
    store = DynamoDBEventStore(LosesAnswers(client), "events")  # type: ignore[arg-type]
    first = commit()
    store.append(first, [take("ada@example.com")])
    assert list(store.load(STREAM)) == [first]


def test_a_command_whose_answers_are_lost_is_carried_out_once(client: Any) -> None:
    store = DynamoDBEventStore(LosesAnswers(client), "events")  # type: ignore[arg-type]
    execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
    said = TaskCommented(comment_id="1", comment="once")
    outcome = execute(store, TASKS, "0192", lambda _: [said], order())
    assert (outcome.version, outcome.repeated) == (2, False)
    assert [each.version for each in store.load(STREAM)] == [1, 2]


def test_an_error_that_is_no_answer_to_the_condition_is_passed_on(client: Any) -> None:
    store = DynamoDBEventStore(client, "no-such-table")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        store.append(commit())
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        store.append(commit(), [take("ada@example.com")])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        next(store.load(STREAM))


# ---- the item


def test_an_item_holds_nothing_but_the_attributes_of_the_layout() -> None:
    full = commit(command=CommandKey("key with blanks", "digest"), expires_at=7, snapshot=b"\x00\xff")
    assert to_item(full) == {
        "pk": {"S": STREAM},
        "sk": {"N": "1"},
        "n": {"N": "1"},
        "id": {"S": full.id},
        "cmd": {"S": "digest key with blanks"},
        "at": {"S": "2026-04-01T12:00:00.123Z"},
        "by": {"S": "ada"},
        "co": {"S": "co"},
        "ca": {"S": "ca"},
        "e": {"S": full.encoded},
        "h": {"B": full.hash},
        "s": {"B": b"\x00\xff"},
        "ttl": {"N": "7"},
    }
    assert from_item(to_item(full)) == full


def test_a_record_of_a_stream_carries_the_hash_as_base64_and_is_the_same_commit() -> None:
    first = commit()
    image = {**to_item(first), "h": {"B": base64.b64encode(first.hash).decode()}}
    assert from_item(image) == first


def test_what_is_no_commit_is_an_error() -> None:
    with pytest.raises(KeyError):
        from_item({"pk": {"S": "guard"}, "sk": {"N": "1"}})


def test_a_commit_read_back_keeps_its_place_in_the_chain(store: EventStore) -> None:
    first = commit()
    second = commit(first, "two")
    store.append(first)
    store.append(second)
    loaded = list(store.load(STREAM))
    assert chain_hash(loaded[0].hash, loaded[1]) == loaded[1].hash
    assert chain_hash(loaded[0].hash, replace(loaded[1], by="eve")) != loaded[1].hash
