"""The event store's contract on DynamoDB: what DynamoDB is asked, how often, and what its answers lead to."""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ConnectionClosedError

from commands.execution import execute
from domain.commit import CommandKey, Commit, check_chain
from domain.decider import fold
from domain.tasks import TASKS, Task, TaskCommented
from infra import history
from infra.commits import NotACommitError
from infra.event_store import MAX_ITEM_BYTES, CommitTooLargeError, ConflictError, DynamoDBEventStore, EventStore
from infra.guards import Guards
from infra.history import History, WarmHistories
from infra.settings import MAX_APPEND_ATTEMPTS, SNAPSHOT_COMMITS
from infra.usage import Usage
from tests.contract.aws import Calls, LostAnswers, NewClient, OneAtATime, refuse, refuse_repeats, tables
from tests.contract.commits import CREATED, STREAM, commit, order, take
from tests.contract.event_store import EventStoreContract


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
