"""The event store's contract, the same for the one in memory and the one on DynamoDB, also when commands race."""

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import pytest
from eventsourcing.persistence import IntegrityError
from eventsourcing.persistence import StoredEvent as LibraryEvent

from commands.execution import execute
from domain.commit import GENESIS, CommandKey, chain_hash, check_chain
from domain.decider import fold
from domain.tasks import TASKS, Task, TaskCommented
from infra.event_store import MAX_ITEM_BYTES, CommitTooLargeError, ConflictError, EventStore, GuardRefusedError
from infra.recorder import CommitRecorder
from tests.contract.commits import CREATED, STREAM, commit, order, take


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
