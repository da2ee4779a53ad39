"""opsledger: commands as the API carries them out, decision, encoding and hashing included."""

from collections.abc import Mapping
from typing import Any

from benchmarks import local
from benchmarks.work import CHANGED_AT, LOADS, Thunk, Work, created, five, history, order, renamed
from commands.execution import execute, new_id
from commands.users import Users
from domain.tasks import TASKS
from domain.users import ChangeUser, RegisterUser
from infra import clients
from infra import history as histories
from infra.commits import to_item
from infra.event_store import DynamoDBEventStore
from infra.guards import Guards
from infra.history import WarmHistories
from infra.personal_data import MemoryDataKeys, PersonalData

NAME = "opsledger"


class Opsledger:
    """The system under test, with the client its functions use."""

    def __init__(self) -> None:
        self.client: Any = clients.dynamodb()
        self.store = DynamoDBEventStore(self.client, local.EVENTS)
        guards = Guards(self.client, local.GUARDS, b"k" * 32)
        self.users = Users(self.store, guards, PersonalData(MemoryDataKeys()))
        for length in LOADS:
            self.write(f"load-{length}", length)

    @property
    def works(self) -> Mapping[str, Work]:
        loads = {f"load-{length}": self._load(length) for length in LOADS}
        return {
            "create": self.create,
            "change": self.change,
            "change-warm": self.change_warm,
            "five-events": self.five_events,
            **loads,
            "change-unique": self.change_unique,
        }

    def write(self, task_id: str, commits: int) -> None:
        """Store a task's history."""
        local.fill(self.client, local.EVENTS, map(to_item, history(task_id, commits)))

    def create(self, _: int) -> Thunk:
        def run() -> object:
            one = order()
            return execute(self.store, TASKS, new_id(), created(one), one, creates=True)

        return run

    def five_events(self, _: int) -> Thunk:
        def run() -> object:
            one = order()
            return execute(self.store, TASKS, new_id(), five(one), one, creates=True)

        return run

    def change(self, number: int) -> Thunk:
        task_id = new_id()
        self.write(task_id, CHANGED_AT)

        def run() -> object:
            one = order()
            return execute(self.store, TASKS, task_id, renamed(number + 1000, one), one)

        return run

    def change_warm(self, number: int) -> Thunk:
        task_id, warm, before = new_id(), WarmHistories(), order()
        self.write(task_id, CHANGED_AT)
        execute(self.store, TASKS, task_id, renamed(number + 1000, before), before, warm=warm)

        def run() -> object:
            one = order()
            return execute(self.store, TASKS, task_id, renamed(number + 2000, one), one, warm=warm)

        return run

    def change_unique(self, number: int) -> Thunk:
        """A user's e-mail address: opened and sealed too, which the bare client is spared."""
        email = f"{new_id()}@example.com"
        user_id, registered = new_id(), RegisterUser(email=email, full_name="Ann Example")
        self.users.register(user_id, registered, "$2b$12$" + "h" * 53, order())

        def run() -> object:
            command = ChangeUser(email=f"{number}.{new_id()}@example.com")
            return self.users.change(user_id, command, order())

        return run

    def _load(self, length: int) -> Work:
        stream = TASKS.stream(f"load-{length}")
        return lambda _: lambda: histories.load(self.store, TASKS, stream)
