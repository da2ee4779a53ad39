"""The guards' contract on DynamoDB, alone and as commands on users move them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any, ClassVar

import pytest

from commands.execution import Order, new_id, now
from commands.users import Users
from domain.commit import check_chain
from domain.decider import fold
from domain.errors import NotFoundError, StateConflictError
from domain.permissions import Role
from domain.users import USERS, ChangeUser, RegisterUser, User
from infra.event_store import ConflictError, DynamoDBEventStore, GuardRefusedError, GuardWrite
from infra.guards import Guards
from infra.personal_data import ERASED, MemoryDataKeys, PersonalData
from infra.usage import Usage
from tests.contract.aws import Calls, LostAnswers, NewClient, OneAtATime, refuse, tables
from tests.contract.commits import commit

ADA, BOB = "ada@example.com", "bob@example.com"
KEY = b"k" * 32


def order() -> Order:
    return Order(by="u-0", at=now(), correlation_id="co", causation_id="ca")


def registered(users: Users, email: str = ADA, role: Role = Role.USER) -> str:
    user_id = new_id()
    users.register(user_id, RegisterUser(email=email, full_name="Kim Example", role=role), "$2b$12$hash", order())
    return user_id


def state(users: Users, user_id: str) -> User:
    found = fold(USERS, users.store.load(USERS.stream(user_id)))
    assert found is not None
    return found


class DeletesMeanwhile(MemoryDataKeys):
    """Keys as a slow process finds them: just before it looks for a person's key, another one deletes the person."""

    def __init__(self, users: Users) -> None:
        super().__init__()
        assert isinstance(users.personal._keys, MemoryDataKeys)
        self.keys = users.personal._keys.keys
        self._waiting = [users]

    def find(self, person: str) -> bytes | None:
        while self._waiting:
            self._waiting.pop().delete(person, order())
        return super().find(person)


def at_once(attempts: Sequence[Callable[[], object]]) -> list[bool]:
    """Make all these attempts at the same moment. Tells which succeeded and which were refused; all else is raised."""
    ready = Barrier(len(attempts), timeout=30)

    def run(attempt: Callable[[], object]) -> bool:
        ready.wait()
        try:
            attempt()
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(run, attempts))


class GuardsContract:
    """Who inherits it gives the fixture `new_client`.

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
    def guards(self, client: Any) -> Guards:
        return Guards(client, "guards", KEY)

    @pytest.fixture
    def write(self, client: Any) -> Callable[..., None]:
        """Moves guards with a commit of a stream of its own."""
        store = DynamoDBEventStore(client, "events")
        streams = iter(range(1_000))

        def move(*guards: GuardWrite) -> None:
            store.append(commit(stream=f"task#{next(streams)}"), guards)

        return move

    @pytest.fixture
    def users(self, client: Any) -> Users:
        safe: Any = client if self.is_real else OneAtATime(client)
        return Users(
            DynamoDBEventStore(safe, "events", Usage()), Guards(safe, "guards", KEY), PersonalData(MemoryDataKeys())
        )

    # ---- addresses

    def test_an_address_is_nobodys_until_it_is_taken(self, guards: Guards, write: Callable[..., None]) -> None:
        assert guards.owner_of_email(ADA) is None
        write(guards.take_email(ADA, "u-1"))
        assert guards.owner_of_email(ADA) == "u-1"
        assert guards.owner_of_email(BOB) is None

    @pytest.mark.parametrize("user_id", ["u-1", "u-2"])
    def test_a_taken_address_is_refused_to_all(self, guards: Guards, write: Callable[..., None], user_id: str) -> None:
        write(guards.take_email(ADA, "u-1"))
        with pytest.raises(GuardRefusedError):
            write(guards.take_email(ADA, user_id))
        assert guards.owner_of_email(ADA) == "u-1"

    def test_an_address_moves_in_one_transaction(self, guards: Guards, write: Callable[..., None]) -> None:
        write(guards.take_email(ADA, "u-1"))
        write(guards.take_email(BOB, "u-1"), guards.release_email(ADA, "u-1"))
        assert (guards.owner_of_email(ADA), guards.owner_of_email(BOB)) == (None, "u-1")
        write(guards.take_email(ADA, "u-2"))

    def test_a_move_to_a_taken_address_keeps_the_old_one(self, guards: Guards, write: Callable[..., None]) -> None:
        write(guards.take_email(ADA, "u-1"))
        write(guards.take_email(BOB, "u-2"))
        with pytest.raises(GuardRefusedError):
            write(guards.take_email(BOB, "u-1"), guards.release_email(ADA, "u-1"))
        assert (guards.owner_of_email(ADA), guards.owner_of_email(BOB)) == ("u-1", "u-2")

    def test_an_address_is_released_by_its_owner_only(self, guards: Guards, write: Callable[..., None]) -> None:
        write(guards.take_email(ADA, "u-1"))
        for email, user_id in ((ADA, "u-2"), (BOB, "u-1")):
            with pytest.raises(GuardRefusedError):
                write(guards.release_email(email, user_id))
        assert guards.owner_of_email(ADA) == "u-1"
        write(guards.release_email(ADA, "u-1"))
        assert guards.owner_of_email(ADA) is None

    def test_an_address_cannot_be_read_nor_found_without_the_key(
        self, client: Any, guards: Guards, write: Callable[..., None]
    ) -> None:
        write(guards.take_email(ADA, "u-1"))
        (item,) = client.scan(TableName="guards")["Items"]
        assert set(item) == {"pk", "owner"}
        assert "ada" not in repr(item)
        assert Guards(client, "guards", b"another key").owner_of_email(ADA) is None

    # ---- admins

    def test_admins_are_counted_up_and_down_but_the_last_one_stays(
        self, client: Any, guards: Guards, write: Callable[..., None]
    ) -> None:
        def count() -> int:
            return int(client.scan(TableName="guards")["Items"][0]["n"]["N"])

        write(guards.count_admins(1))
        write(guards.count_admins(1))
        assert count() == 2
        write(guards.count_admins(-1))
        with pytest.raises(GuardRefusedError):
            write(guards.count_admins(-1))
        assert count() == 1

    def test_where_no_admin_was_ever_counted_none_is_taken(self, guards: Guards, write: Callable[..., None]) -> None:
        with pytest.raises(GuardRefusedError):
            write(guards.count_admins(-1))

    # ---- as commands move them

    def test_of_two_admins_who_demote_each_other_at_once_one_succeeds(self, users: Users) -> None:
        first, second = registered(users, ADA, Role.ADMIN), registered(users, BOB, Role.ADMIN)
        demote = ChangeUser(role=Role.USER)
        for _ in range(10):
            demoted = at_once(
                [lambda user_id=user_id: users.change(user_id, demote, order()) for user_id in (first, second)]  # type: ignore[misc]
            )
            assert sorted(demoted) == [False, True]
            assert [state(users, user_id).is_active_admin for user_id in (first, second)] == [
                not one for one in demoted
            ]
            users.change(first if demoted[0] else second, ChangeUser(role=Role.ADMIN), order())
        for user_id in (first, second):
            assert check_chain(users.store.load(USERS.stream(user_id))) is None

    def test_a_change_of_everything_is_one_transaction(self, client: Any, users: Users) -> None:
        registered(users, BOB, Role.ADMIN)
        user_id = registered(users, ADA, Role.ADMIN)
        command = ChangeUser(email="new@example.com", full_name="New Name", role=Role.USER, is_active=False)
        one = order()
        assert Calls(client).during(lambda: users.change(user_id, command, one)) == ["Query", "TransactWriteItems"]
        assert (users.guards.owner_of_email(ADA), users.guards.owner_of_email("new@example.com")) == (None, user_id)
        assert (users.guards.stops("s", user_id).issued_until or 0) >= round(one.at.timestamp() * 1000)
        with pytest.raises(StateConflictError, match="last active admin"):
            users.delete(str(users.guards.owner_of_email(BOB)), order())

    def test_a_registration_looks_before_it_makes_anything(self, client: Any, users: Users) -> None:
        calls = Calls(client)
        assert calls.during(lambda: registered(users)) == ["Query", "GetItem", "TransactWriteItems"]
        calls.made.clear()
        with pytest.raises(StateConflictError):
            registered(users)
        assert calls.made == ["Query", "GetItem"]

    def test_of_eight_who_register_an_address_at_once_one_succeeds(self, client: Any, users: Users) -> None:
        assert sum(at_once([lambda: registered(users)] * 8)) == 1
        (stored,) = client.scan(TableName="events")["Items"]
        assert f"user#{users.guards.owner_of_email(ADA)}" == stored["pk"]["S"]

    def test_of_eight_who_move_to_an_address_at_once_one_succeeds(self, users: Users) -> None:
        ids = [registered(users, f"{number}@example.com") for number in range(8)]
        change = ChangeUser(email=ADA)
        moved = at_once(
            [lambda user_id=user_id: users.change(user_id, change, order()) for user_id in ids]  # type: ignore[misc]
        )
        assert sum(moved) == 1
        assert users.guards.owner_of_email(ADA) == ids[moved.index(True)]
        owners = [users.guards.owner_of_email(f"{number}@example.com") for number in range(8)]
        assert owners == [None if there else user_id for user_id, there in zip(ids, moved, strict=True)]

    def test_a_change_beside_a_deletion_makes_no_new_key_so_that_the_erased_stays_readable_as_such(
        self, users: Users
    ) -> None:
        user_id = registered(users)
        sealed = state(users, user_id).email
        keys = DeletesMeanwhile(users)
        slow = replace(users, personal=PersonalData(keys))
        with pytest.raises(NotFoundError):
            slow.change(user_id, ChangeUser(full_name="New Name"), order())
        assert keys.keys == {}
        assert users.personal.open(user_id, "email", sealed) == ERASED

    def test_somebody_whose_name_reads_as_erased_may_change_it(self, users: Users) -> None:
        user_id = registered(users)
        for name in (ERASED, "Kim Example"):
            users.change(user_id, ChangeUser(full_name=name), order())
        assert users.personal.open(user_id, "full_name", state(users, user_id).full_name) == "Kim Example"

    def test_a_person_is_deleted_once_by_two_at_the_same_time(self, users: Users) -> None:
        user_id = registered(users)
        slow = replace(users, personal=PersonalData(DeletesMeanwhile(users)))
        assert slow.delete(user_id, order()).version == 2
        assert state(users, user_id).is_deleted
        assert users.guards.owner_of_email(ADA) is None

    def test_commands_whose_answers_are_lost_are_neither_refused_nor_counted_twice(
        self, client: Any, users: Users
    ) -> None:
        answers = LostAnswers(client, is_real=self.is_real)
        first, second = registered(users, ADA, Role.ADMIN), registered(users, BOB, Role.ADMIN)
        users.change(first, ChangeUser(email="new@example.com"), order())
        users.change(first, ChangeUser(role=Role.USER), order())
        assert answers.lost == ["TransactWriteItems"] * 4
        assert users.guards.owner_of_email(ADA) is None
        assert users.guards.owner_of_email("new@example.com") == first
        with pytest.raises(StateConflictError, match="last active admin"):
            users.change(second, ChangeUser(role=Role.USER), order())

    def test_a_command_that_meets_another_transaction_is_tried_again_and_succeeds(
        self, client: Any, users: Users
    ) -> None:
        failed = refuse(client, "TransactWriteItems", 2, "TransactionCanceledException", "None", "TransactionConflict")
        user_id = registered(users)
        assert users.guards.owner_of_email(ADA) == user_id
        again = refuse(client, "TransactWriteItems", 1, "TransactionCanceledException", "TransactionConflict", "None")
        assert users.change(user_id, ChangeUser(email=BOB), order()).version == 2
        assert (users.guards.owner_of_email(ADA), users.guards.owner_of_email(BOB)) == (None, user_id)
        assert (len(failed), len(again)) == (2, 1)

    def test_a_refusal_beside_a_transaction_of_others_is_a_refusal(self, client: Any, users: Users) -> None:
        reasons = ("TransactionConflict", "ConditionalCheckFailed")
        refuse(client, "TransactWriteItems", 1, "TransactionCanceledException", *reasons)
        with pytest.raises(StateConflictError):
            registered(users)

    def test_a_commit_that_stands_there_is_a_conflict_before_any_guard_is_asked(
        self, client: Any, guards: Guards
    ) -> None:
        store = DynamoDBEventStore(client, "events")
        store.append(commit(), [guards.take_email(ADA, "u-1")])
        with pytest.raises(ConflictError):
            store.append(commit(), [guards.take_email(ADA, "u-1")])
