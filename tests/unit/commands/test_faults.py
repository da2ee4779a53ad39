"""Any sequence of commands, with the transport failing before or after a commit is stored, and others in between."""

from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from commands.execution import Order, execute
from domain.commit import CommandKey, Commit, check_chain
from domain.decider import fold
from domain.tasks import TASKS, CommentOnTask, CreateTask, comment, create
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.event_store import GuardWrite

TASK = "t-1"
STREAM = TASKS.stream(TASK)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Fault(Enum):
    NONE = auto()
    LOST_REQUEST = auto()
    LOST_ANSWER = auto()
    RIVAL = auto()


class TransportError(Exception):
    pass


class FaultyStore(MemoryEventStore):
    """Fails as told, once for each append."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []
        self.rivals = 0

    def append(self, commit: Commit, guards: "Sequence[GuardWrite]" = ()) -> None:
        fault = self.faults.pop(0) if self.faults else Fault.NONE
        if fault is Fault.LOST_REQUEST:
            raise TransportError
        if fault is Fault.RIVAL:
            waiting, self.faults = self.faults, []  # what fails is the command's own
            self.rivals += 1
            said(self, f"rival-{self.rivals}", None)
            self.faults = waiting
        super().append(commit, guards)
        if fault is Fault.LOST_ANSWER:
            raise TransportError


class Sending(NamedTuple):
    command: int
    faults: list[Fault]
    warm: bool


def order(key: str | None) -> Order:
    named = CommandKey(key, "digest") if key else None
    return Order(by="u-1", at=AT, correlation_id="co", causation_id="ca", command=named)


def said(store: FaultyStore, name: str, key: str | None, warm: WarmHistories | None = None) -> None:
    command = CommentOnTask(comment=name)
    execute(store, TASKS, TASK, lambda task: comment(task, command, name), order(key), warm=warm, sleep=lambda _: None)


@given(
    st.lists(
        st.builds(Sending, st.integers(0, 5), st.lists(st.sampled_from(Fault), max_size=3), st.booleans()),
        max_size=25,
    )
)
def test_each_command_happens_once_and_the_stream_stays_whole(sendings: list[Sending]) -> None:
    store, warm = FaultyStore(), WarmHistories()
    task = CreateTask(title="Look into it", description="Something is broken")
    execute(store, TASKS, TASK, lambda _: create(task, order(None).context), order(None), creates=True)
    wanted = []
    for sending in sendings:
        name = f"command-{sending.command}"
        if name not in wanted:
            wanted.append(name)
        store.faults = list(sending.faults)
        while True:  # a client that got no answer sends the same again
            try:
                said(store, name, name, warm if sending.warm else None)
            except TransportError:
                continue
            break
        store.faults = []

    commits = list(store.load(STREAM))
    state = fold(TASKS, commits)
    assert check_chain(commits) is None
    assert state
    told = [comment.comment for comment in state.comments]
    assert [name for name in told if not name.startswith("rival")] == wanted
    assert len(told) == len(wanted) + store.rivals
