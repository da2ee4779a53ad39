"""The event store's contract, the same for the one in memory and the one on DynamoDB, and what DynamoDB is asked."""

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

import pytest
from botocore.exceptions import ConnectionClosedError
from eventsourcing.persistence import IntegrityError
from eventsourcing.persistence import StoredEvent as LibraryEvent

from commands.execution import Order, execute
from domain.commit import GENESIS, CommandKey, Commit, chain_hash, check_chain, encode_events, sealed
from domain.decider import fold
from domain.event import encode
from domain.tasks import TASKS, Priority, Task, TaskCommented, TaskCreated
from infra import history
from infra.commits import NotACommitError
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
from infra.history import History, WarmHistories
from infra.recorder import CommitRecorder
from infra.settings import MAX_APPEND_ATTEMPTS, SNAPSHOT_COMMITS
from infra.usage import Usage
from tests.contract.aws import Calls, LostAnswers, OneAtATime, refuse, refuse_repeats, tables

NewClient: TypeAlias = Callable[[str], Any]
"""From a service's name to a client that nobody else uses."""

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


def take(email: str) -> GuardWrite:
    client: Any = None  # a guard's write is described without any call
    return Guards(client, "guards", b"key").take_email(email, "ada")


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


class EventStoreContract:
    """Of any store. Who inherits it gives the fixture `store`, and `shared` if that is not safe for threads."""

    raced_streams: ClassVar = 40

    @pytest.fixture
    def shared(self, store: EventStore) -> EventStore:
        """The store as several threads may use it at once."""
        return store

    @staticmethod
    def eager_threads() -> contextlib.AbstractContextManager[None]:
        """While threads race. Where every call waits for a server they take turns often enough."""
        return contextlib.nullcontext()

    def test_a_stream_that_was_never_written_to_is_empty(self, store: EventStore) -> None:
        assert list(store.load(STREAM)) == []

    def test_a_commit_is_loaded_as_it_was_appended(self, store: EventStore) -> None:
        first = commit(command=CommandKey("ada POST /tasks key with blanks", "digest"))
        store.append(first)
        assert list(store.load(STREAM)) == [first]
        assert chain_hash(GENESIS, next(store.load(STREAM))) == first.hash

    def test_what_may_be_absent_and_what_is_not_ascii_comes_back_too(self, store: EventStore) -> None:
        first = commit(command=None, expires_at=1_800_000_000, by="ädä", correlation_id="🔥")
        store.append(first)
        second = commit(first, 'Grüße, 日本 🔥 \\ " \n \x00', "")
        store.append(second)
        assert list(store.load(STREAM)) == [first, second]

    def test_commits_come_in_order_whatever_the_number_of_digits(self, store: EventStore) -> None:
        commits = [commit()]
        for number in range(11):
            commits.append(commit(commits[-1], f"comment {number}"))
        for each in commits:
            store.append(each)
        assert [each.version for each in store.load(STREAM)] == list(range(1, 13))
        assert list(store.load(STREAM)) == commits

    def test_several_events_of_one_commit_are_numbered_on(self, store: EventStore) -> None:
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

    def test_streams_do_not_see_each_other(self, store: EventStore) -> None:
        mine, yours = commit(), commit(stream="task#0193")
        store.append(mine)
        store.append(yours)
        assert (list(store.load(STREAM)), list(store.load("task#0193"))) == ([mine], [yours])

    def test_loading_after_a_version_leaves_out_what_begins_before_it(self, store: EventStore) -> None:
        first = commit()
        second = commit(first, "one", "two")
        third = commit(second, "three")
        for each in (first, second, third):
            store.append(each)
        assert list(store.load(STREAM, after=0)) == [first, second, third]
        assert list(store.load(STREAM, after=1)) == [second, third]
        assert list(store.load(STREAM, after=3)) == [third]
        assert list(store.load(STREAM, after=4)) == []

    def test_a_stream_is_read_backwards_from_its_end(self, store: EventStore) -> None:
        commits = [commit()]
        for number in range(60):
            commits.append(commit(commits[-1], f"comment {number}"))
        for each in commits:
            store.append(each)
        assert list(store.load_back(STREAM)) == commits[::-1]
        assert list(itertools.islice(store.load_back(STREAM), 2)) == [commits[-1], commits[-2]]
        assert list(store.load_back("task#none")) == []
        assert list(store.load_back(STREAM, commits[1].version)) == [commits[1], commits[0]]
        assert list(store.load_back(STREAM, commits[0].version - 1)) == []

    def test_where_another_commit_stands_the_append_is_a_conflict_and_changes_nothing(self, store: EventStore) -> None:
        first = commit()
        theirs, mine = commit(first, "theirs"), commit(first, "mine")
        store.append(first)
        store.append(theirs)
        with pytest.raises(ConflictError, match="version 2 of task#0192"):
            store.append(mine)
        assert list(store.load(STREAM)) == [first, theirs]

    def test_a_commit_that_stands_there_already_is_my_own_whose_answer_was_lost(self, store: EventStore) -> None:
        first = commit()
        store.append(first)
        store.append(first)
        assert list(store.load(STREAM)) == [first]

    def test_a_commit_with_my_id_and_another_content_is_not_mine(self, store: EventStore) -> None:
        first = commit()
        store.append(first)
        with pytest.raises(ConflictError):
            store.append(commit(id=first.id, by="eve"))
        assert list(store.load(STREAM)) == [first]

    def test_a_commit_that_is_too_large_is_refused_before_anything_is_written(self, store: EventStore) -> None:
        first = commit()
        store.append(first)
        with pytest.raises(CommitTooLargeError, match=r"task#0192; DynamoDB takes 400,000"):
            store.append(commit(first, "x" * MAX_ITEM_BYTES))
        with pytest.raises(CommitTooLargeError):
            store.append(commit(first, "🔥" * (MAX_ITEM_BYTES // 4)))
        assert list(store.load(STREAM)) == [first]

    def test_a_commit_and_its_guard_are_written_together(self, store: EventStore) -> None:
        first = commit()
        store.append(first, [take("ada@example.com")])
        assert list(store.load(STREAM)) == [first]
        with pytest.raises(GuardRefusedError):
            store.append(commit(stream="task#0193"), [take("ada@example.com")])

    def test_a_refused_guard_leaves_neither_the_commit_nor_another_guard(self, store: EventStore) -> None:
        store.append(commit(), [take("ada@example.com")])
        with pytest.raises(GuardRefusedError):
            store.append(commit(stream="task#0193"), [take("bob@example.com"), take("ada@example.com")])
        assert list(store.load("task#0193")) == []
        store.append(commit(stream="task#0194"), [take("bob@example.com")])

    def test_a_conflict_goes_before_a_guard_and_does_not_take_it(self, store: EventStore) -> None:
        store.append(commit())
        with pytest.raises(ConflictError):
            store.append(commit(), [take("ada@example.com")])
        store.append(commit(stream="task#0193"), [take("ada@example.com")])

    def test_a_guarded_commit_whose_answer_was_lost_is_not_refused_by_its_own_guard(self, store: EventStore) -> None:
        first = commit()
        store.append(first, [take("ada@example.com")])
        store.append(first, [take("ada@example.com")])
        assert list(store.load(STREAM)) == [first]

    @pytest.mark.parametrize(("theirs", "mine"), [(1, 3), (3, 1), (2, 5)])
    def test_commits_of_different_length_at_one_version_collide(
        self, store: EventStore, theirs: int, mine: int
    ) -> None:
        first = commit()
        store.append(first)
        there, here = (commit(first, *["x"] * length) for length in (theirs, mine))
        store.append(there)
        with pytest.raises(ConflictError):
            store.append(here)
        assert list(store.load(STREAM)) == [first, there]
        assert check_chain(store.load(STREAM)) is None

    def test_nothing_is_saved_from_inside_a_commit(self, store: EventStore) -> None:
        first = commit()
        second = commit(first, "one", "two", "three")
        store.append(first)
        store.append(second)
        recorder = CommitRecorder(store)
        for version in (2, 3, 4, 6):
            with pytest.raises(IntegrityError):
                recorder.insert_events([LibraryEvent(STREAM, version, "said", b"{}")])
        assert list(store.load(STREAM)) == [first, second]
        recorder.insert_events([LibraryEvent(STREAM, 5, "said", b"{}")])
        assert check_chain(store.load(STREAM)) is None

    def test_a_repeated_command_inside_the_stream_answers_and_saves_nothing(self, store: EventStore) -> None:
        execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
        said = [TaskCommented(comment_id=str(number), comment="x") for number in range(3)]
        named = order(command=CommandKey("ada POST key", "digest"))
        first = execute(store, TASKS, "0192", lambda _: said[:2], named)
        execute(store, TASKS, "0192", lambda _: said[2:], order())
        again = execute(store, TASKS, "0192", lambda _: said, named)
        assert again == replace(first, repeated=True)
        assert [(each.version, each.count) for each in store.load(STREAM)] == [(1, 1), (2, 2), (4, 1)]

    def test_commits_on_several_streams_are_appended_together_or_not_at_all(self, store: EventStore) -> None:
        mine, yours = commit(), commit(stream="task#0193")
        store.append_together([mine, yours], [take("ada@example.com")])
        assert [*store.load(STREAM), *store.load("task#0193")] == [mine, yours]
        store.append_together([mine, yours], [take("ada@example.com")])  # the answer was lost
        with pytest.raises(ConflictError, match="version 1 of task#0193"):
            store.append_together([commit(mine, "two"), commit(stream="task#0193")])
        with pytest.raises(GuardRefusedError):
            store.append_together([commit(mine, "two"), commit(yours, "two")], [take("ada@example.com")])
        assert [*store.load(STREAM), *store.load("task#0193")] == [mine, yours]

    # ---- racing

    def test_commands_that_race_on_the_same_streams_lose_nothing_and_do_nothing_twice(self, shared: EventStore) -> None:
        streams = [f"0192-{number}" for number in range(self.raced_streams)]
        with self.eager_threads():
            conflicts = race(shared, streams)
        assert all(conflicts[stream] >= 7 for stream in streams)
        check_raced(shared, streams)

    def test_commits_of_different_length_that_race_leave_no_gap_and_do_not_overlap(self, shared: EventStore) -> None:
        execute(shared, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
        all_loaded = threading.Barrier(8, timeout=30)

        def run(thread: int) -> None:
            for turn in range(3):
                first = True

                def decide(_: Task | None, turn: int = turn) -> list[TaskCommented]:
                    nonlocal first
                    if first:
                        first = False
                        all_loaded.wait()
                    return [TaskCommented(comment_id=f"{thread}-{turn}-{n}", comment="x") for n in range(thread + 1)]

                execute(shared, TASKS, "0192", decide, order(by=f"thread-{thread}"), sleep=lambda _: None)

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(run, thread) for thread in range(8)]:
                done.result()
        commits = list(shared.load(STREAM))
        assert check_chain(commits) is None
        assert len(commits) == 1 + 3 * 8
        task = fold(TASKS, commits)
        assert task is not None
        ids = [f"{thread}-{turn}-{n}" for thread in range(8) for turn in range(3) for n in range(thread + 1)]
        assert task.comment_count == len(ids)
        said = [event.event.comment_id for each in commits[1:] for event in each.recorded()]  # type: ignore[attr-defined]
        assert sorted(said) == sorted(ids)

    def test_one_command_sent_by_eight_threads_at_once_is_carried_out_once(self, shared: EventStore) -> None:
        execute(shared, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
        all_loaded = threading.Barrier(8, timeout=30)
        key = CommandKey("ada POST key", "digest")

        def send(thread: int) -> tuple[int, bool]:
            def decide(_: Task | None) -> list[TaskCommented]:
                all_loaded.wait()
                return [TaskCommented(comment_id=str(thread), comment="once")]

            outcome = execute(shared, TASKS, "0192", decide, order(command=key), sleep=lambda _: None)
            return outcome.version, outcome.repeated

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(8)))
        assert sorted(answers) == [(2, False)] + [(2, True)] * 7
        assert [each.version for each in shared.load(STREAM)] == [1, 2]


class DynamoDBContract(EventStoreContract):
    """Of the store on DynamoDB. Who inherits it gives the fixture `new_client`.

    Attributes:
        is_real: a server answers by HTTP, and checks and writes in one step.
    """

    is_real: ClassVar = True

    @pytest.fixture
    def client(self, new_client: NewClient) -> Iterator[Any]:
        """A client whose events and guards tables are empty."""
        client = new_client("dynamodb")
        with tables(client, "events", "guards"):
            yield client

    @pytest.fixture
    def store(self, client: Any) -> EventStore:
        return DynamoDBEventStore(client, "events")

    @pytest.fixture
    def shared(self, client: Any) -> EventStore:
        safe: Any = client if self.is_real else OneAtATime(client)
        return DynamoDBEventStore(safe, "events")

    def test_creating_takes_one_call_and_changing_two(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        created = calls.during(lambda: execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True))
        assert created == ["PutItem"]
        said = [TaskCommented(comment_id=str(number), comment="x") for number in range(5)]
        changed = calls.during(lambda: execute(store, TASKS, "0192", lambda _: said, order()))
        assert changed == ["Query", "PutItem"]
        assert len(client.scan(TableName="events")["Items"]) == 2

    def test_a_command_that_changes_nothing_writes_nothing(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        store.append(commit())
        assert calls.during(lambda: execute(store, TASKS, "0192", lambda _: [], order())) == ["Query"]

    def test_a_conflict_takes_two_more_calls(self, client: Any, new_client: NewClient) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        rival = DynamoDBEventStore(new_client("dynamodb"), "events")
        first = commit()
        store.append(first)
        rivals = [commit(first, "faster")]

        def decide(_: Task | None) -> list[TaskCommented]:
            while rivals:
                rival.append(rivals.pop())
            return [TaskCommented(comment_id="mine", comment="slower")]

        changed = calls.during(lambda: execute(store, TASKS, "0192", decide, order(), sleep=lambda _: None))
        assert changed == ["Query", "PutItem", "Query", "PutItem"]

    def test_a_repeated_create_takes_an_append_that_fails_and_a_load(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        named = order(command=CommandKey("ada POST key", "digest"))
        execute(store, TASKS, "0192", lambda _: [CREATED], named, creates=True)

        def again() -> None:
            outcome = execute(store, TASKS, "0192", lambda _: [CREATED], named, creates=True, sleep=lambda _: None)
            assert outcome.repeated

        assert calls.during(again)[:2] == ["PutItem", "Query"]
        assert len(list(store.load(STREAM))) == 1

    def test_a_guard_takes_one_transaction(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        assert calls.during(lambda: store.append(commit(), [take("ada@example.com")])) == ["TransactWriteItems"]

    def test_a_commit_too_large_is_not_even_sent(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)

        def too_large() -> None:
            with contextlib.suppress(CommitTooLargeError):
                store.append(commit(commit(), "x" * MAX_ITEM_BYTES))

        assert calls.during(too_large) == []

    def test_a_commit_of_the_greatest_size_is_taken(self, client: Any) -> None:
        store = DynamoDBEventStore(client, "events")
        first = commit()
        store.append(first)
        largest = commit(first, "x" * (MAX_ITEM_BYTES - 1_100))
        store.append(largest)
        assert list(store.load(STREAM, after=1)) == [largest]

    def test_a_stream_longer_than_a_page_of_one_mb_is_loaded_page_by_page(self, client: Any) -> None:
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

    def test_an_item_that_is_no_commit_hides_none_that_is_read_before_it(self, client: Any) -> None:
        store = DynamoDBEventStore(client, "events")
        first = commit()
        second = commit(first, "second")
        store.append(first)
        store.append(second)
        client.put_item(TableName="events", Item={"pk": {"S": STREAM}, "sk": {"N": str(second.last_version + 1)}})
        found = store.load(STREAM)
        assert [next(found), next(found)] == [first, second]
        with pytest.raises(NotACommitError):
            next(found)
        with pytest.raises(NotACommitError):
            next(store.load_back(STREAM))

    def test_every_load_is_strongly_consistent(self, client: Any) -> None:
        asked: list[Any] = []
        client.meta.events.register("provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params))
        store = DynamoDBEventStore(client, "events")
        list(store.load(STREAM))
        list(store.load_back(STREAM))
        assert [request["ConsistentRead"] for request in asked] == [True, True]

    def test_an_append_whose_answer_is_lost_succeeds(self, client: Any) -> None:
        usage = Usage()
        store, answers = DynamoDBEventStore(client, "events", usage), LostAnswers(client, is_real=self.is_real)
        first = commit()
        store.append(first)
        second = commit(first, "two")
        store.append(second)
        assert answers.lost == ["PutItem", "PutItem"]
        assert (usage.calls, usage.retries, usage.conflicts) == (2, 2, 0)
        assert list(store.load(STREAM)) == [first, second]

    def test_a_guarded_append_whose_answer_is_lost_succeeds(self, client: Any) -> None:
        usage = Usage()
        store, answers = DynamoDBEventStore(client, "events", usage), LostAnswers(client, is_real=self.is_real)
        first = commit()
        store.append(first, [take("ada@example.com")])
        assert answers.lost == ["TransactWriteItems"]
        assert (usage.calls, usage.retries, usage.conflicts) == (1, 1, 0)
        assert list(store.load(STREAM)) == [first]
        assert Guards(client, "guards", b"key").owner_of_email("ada@example.com") == "ada"

    def test_commits_appended_together_whose_answer_is_lost_succeed(self, client: Any) -> None:
        store, answers = DynamoDBEventStore(client, "events"), LostAnswers(client, is_real=self.is_real)
        mine, yours = commit(), commit(stream="task#0193")
        store.append_together([mine, yours])
        assert answers.lost == ["TransactWriteItems"]
        assert [*store.load(STREAM), *store.load("task#0193")] == [mine, yours]

    def test_commands_whose_answers_are_lost_are_carried_out_once(self, client: Any) -> None:
        store, answers = DynamoDBEventStore(client, "events"), LostAnswers(client, is_real=self.is_real)
        execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True)
        said = TaskCommented(comment_id="1", comment="once")
        outcome = execute(store, TASKS, "0192", lambda _: [said], order(), guards=lambda *_: [take("a@example.com")])
        assert (outcome.version, outcome.repeated) == (2, False)
        assert [each.version for each in store.load(STREAM)] == [1, 2]
        assert answers.lost == ["PutItem", "TransactWriteItems"]

    @pytest.mark.parametrize("guard", ["None", "ConditionalCheckFailed"])
    def test_a_guarded_append_whose_answer_is_lost_succeeds_though_its_repeat_meets_a_transaction(
        self, client: Any, guard: str
    ) -> None:
        usage = Usage()
        store, answers = DynamoDBEventStore(client, "events", usage), LostAnswers(client, is_real=self.is_real)
        refused = refuse_repeats(
            client, "TransactWriteItems", "TransactionCanceledException", "TransactionConflict", guard
        )
        first = commit()
        store.append(first, [take("ada@example.com")])
        assert (answers.lost, refused) == (["TransactWriteItems"], ["TransactWriteItems"])
        assert usage.conflicts == 0
        assert list(store.load(STREAM)) == [first]

    def test_an_append_whose_answer_is_lost_succeeds_though_its_repeat_meets_a_transaction(self, client: Any) -> None:
        store, answers = DynamoDBEventStore(client, "events"), LostAnswers(client, is_real=self.is_real)
        refused = refuse_repeats(client, "PutItem", "TransactionConflictException")
        first = commit()
        store.append(first)
        assert (answers.lost, refused) == (["PutItem"], ["PutItem"])
        assert list(store.load(STREAM)) == [first]

    def test_a_commit_that_is_not_there_after_a_transaction_was_met_is_a_conflict(
        self, client: Any, new_client: NewClient
    ) -> None:
        theirs = commit()
        DynamoDBEventStore(new_client("dynamodb"), "events").append(theirs)
        store = DynamoDBEventStore(client, "events")
        refuse(client, "TransactWriteItems", 1, "TransactionCanceledException", "TransactionConflict", "None")
        with pytest.raises(ConflictError):
            store.append(commit(), [take("ada@example.com")])
        assert list(store.load(STREAM)) == [theirs]

    def test_a_conflict_after_a_lost_connection_is_still_a_conflict(self, client: Any, new_client: NewClient) -> None:
        theirs = commit()
        DynamoDBEventStore(new_client("dynamodb"), "events").append(theirs)
        store, sent = DynamoDBEventStore(client, "events"), list[str]()

        def cut(request: Any, **_: Any) -> None:
            if not sent:
                sent.append(request.url)
                raise ConnectionClosedError(endpoint_url=request.url)

        client.meta.events.register("before-send.dynamodb.PutItem", cut)
        with pytest.raises(ConflictError):
            store.append(commit())
        assert len(sent) == 1
        assert list(store.load(STREAM)) == [theirs]

    def test_an_item_that_is_in_a_transaction_is_a_conflict_and_the_command_is_decided_again(self, client: Any) -> None:
        usage, waits = Usage(), list[float]()
        store = DynamoDBEventStore(client, "events", usage)
        store.append(commit())
        failed = refuse(client, "PutItem", 2, "TransactionConflictException")
        said = TaskCommented(comment_id="1", comment="once")
        assert execute(store, TASKS, "0192", lambda _: [said], order(), sleep=waits.append).version == 2
        assert (len(failed), len(waits), usage.conflicts) == (2, 2, 2)
        assert [each.version for each in store.load(STREAM)] == [1, 2]

    def test_a_transaction_that_meets_another_one_is_decided_again(self, client: Any) -> None:
        usage, waits = Usage(), list[float]()
        store = DynamoDBEventStore(client, "events", usage)
        failed = refuse(client, "TransactWriteItems", 2, "TransactionCanceledException", "None", "TransactionConflict")
        outcome = execute(
            store,
            TASKS,
            "0192",
            lambda task: [] if task else [CREATED],
            order(),
            creates=True,
            guards=lambda *_: [take("ada@example.com")],
            sleep=waits.append,
        )
        assert (outcome.version, outcome.repeated) == (1, False)
        assert (len(failed), len(waits), usage.conflicts) == (2, 2, 2)
        assert [each.version for each in store.load(STREAM)] == [1]

    def test_a_command_that_always_meets_transactions_is_given_up_and_writes_nothing(self, client: Any) -> None:
        store, waits = DynamoDBEventStore(client, "events"), list[float]()
        failed = refuse(client, "TransactWriteItems", 99, "TransactionCanceledException", "TransactionConflict", "None")
        with pytest.raises(ConflictError):
            execute(
                store,
                TASKS,
                "0192",
                lambda _: [CREATED],
                order(),
                creates=True,
                guards=lambda *_: [take("ada@example.com")],
                sleep=waits.append,
            )
        assert (len(failed), len(waits)) == (MAX_APPEND_ATTEMPTS, MAX_APPEND_ATTEMPTS - 1)
        assert list(store.load(STREAM)) == []
        assert Guards(client, "guards", b"key").owner_of_email("ada@example.com") is None

    def test_a_cancellation_for_another_reason_is_passed_on(self, client: Any) -> None:
        refuse(client, "TransactWriteItems", 1, "TransactionCanceledException", "ThrottlingError", "None")
        with pytest.raises(client.exceptions.TransactionCanceledException):
            DynamoDBEventStore(client, "events").append(commit(), [take("ada@example.com")])

    def test_a_thousand_events_are_loaded_by_one_query_wherever_the_stream_ends(self, client: Any) -> None:
        store, calls, warm = DynamoDBEventStore(client, "events"), Calls(client), WarmHistories()
        execute(store, TASKS, "0192", lambda _: [CREATED], order(), creates=True, warm=warm)
        for number in range(250):
            said = [TaskCommented(comment_id=f"{number}-{n}", comment=f"Comment {number}.{n}") for n in range(4)]
            execute(store, TASKS, "0192", lambda _, said=said: said, order(), warm=warm)  # type: ignore[misc]
            if number >= 250 - SNAPSHOT_COMMITS:
                assert calls.during(lambda: history.load(store, TASKS, STREAM)) == ["Query"]
        commits: list[Commit] = list(store.load(STREAM))
        assert check_chain(commits) is None
        assert sum(each.count for each in commits) == 1_001
        assert sum(each.snapshot is not None for each in commits) == 251 // SNAPSHOT_COMMITS
        loaded = history.load(store, TASKS, STREAM)
        assert (loaded.state, loaded.version, loaded.hash) == (fold(TASKS, commits), 1_001, commits[-1].hash)
        assert loaded == warm.get(STREAM)

    def test_a_stream_without_a_usable_snapshot_is_loaded_whole(self, client: Any) -> None:
        store, calls = DynamoDBEventStore(client, "events"), Calls(client)
        commits = [commit()]
        for number in range(SNAPSHOT_COMMITS * 3):
            commits.append(commit(commits[-1], f"comment {number}"))
        for each in commits:
            store.append(each)
        loaded: list[History[Task]] = []
        assert calls.during(lambda: loaded.append(history.load(store, TASKS, STREAM))) == ["Query", "Query"]
        assert loaded[0].state == fold(TASKS, commits)

    def test_an_error_that_is_no_answer_to_the_condition_is_passed_on(self, client: Any) -> None:
        store = DynamoDBEventStore(client, "no-such-table")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            store.append(commit())
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            store.append(commit(), [take("ada@example.com")])
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            next(store.load(STREAM))
