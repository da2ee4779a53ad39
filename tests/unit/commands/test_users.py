"""Users: their addresses are theirs alone, an active admin is always left, and what is personal is sealed."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from commands.execution import Order, now
from commands.users import Users
from domain.commit import check_chain
from domain.decider import fold
from domain.errors import NotFoundError, StateConflictError
from domain.permissions import Role
from domain.users import USERS, ChangeProfile, RegisterUser, User
from infra.guards import Guards
from infra.memory_event_store import MemoryEventStore
from infra.personal_data import ERASED, MemoryDataKeys, PersonalData

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = "kim@example.com"


class OwnersInMemory(Guards):
    """Guards whose look-ups go to the store in memory; the writes are the real ones."""

    def __init__(self, store: MemoryEventStore) -> None:
        nowhere: Any = None
        super().__init__(nowhere, "guards", b"k" * 32)
        self._store = store

    def owner_of_email(self, email: str) -> str | None:
        return self._store.owners.get(self._email_key(email))


@pytest.fixture
def users() -> Users:
    store = MemoryEventStore()
    return Users(store, OwnersInMemory(store), PersonalData(MemoryDataKeys()))


def order() -> Order:
    return Order(by="u-0", at=now(), correlation_id="co", causation_id="ca")


def registered(users: Users, email: str = EMAIL, role: Role = Role.USER) -> str:
    return users.register(RegisterUser(email=email, full_name="Kim Example", role=role), "$2b$…", order())


def state(users: Users, user_id: str) -> User:
    found = fold(USERS, users.store.load(USERS.stream(user_id)))
    assert found
    return found


def stored_text(users: Users) -> str:
    assert isinstance(users.store, MemoryEventStore)
    return "".join(f"{c.encoded}{c.snapshot!r}{c.stream}" for stream in users.store.streams.values() for c in stream)


def test_an_address_belongs_to_one_person(users: Users) -> None:
    user_id = registered(users)
    assert users.guards.owner_of_email(EMAIL) == user_id
    with pytest.raises(StateConflictError, match="registered already"):
        registered(users)


def test_of_many_who_register_an_address_at_once_one_succeeds(users: Users) -> None:
    barrier = Barrier(8)

    def attempt(_: int) -> bool:
        barrier.wait()
        try:
            registered(users)
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_changed_address_moves_and_the_old_one_is_free(users: Users) -> None:
    user_id = registered(users)
    users.change_profile(user_id, ChangeProfile(email="new@example.com"), order())
    assert users.guards.owner_of_email("new@example.com") == user_id
    assert users.guards.owner_of_email(EMAIL) is None
    registered(users)  # somebody else may have it now
    with pytest.raises(StateConflictError):
        users.change_profile(user_id, ChangeProfile(email=EMAIL), order())
    assert users.guards.owner_of_email("new@example.com") == user_id


def test_a_profile_that_stays_the_same_appends_nothing(users: Users) -> None:
    user_id = registered(users)
    assert users.change_profile(user_id, ChangeProfile(email=EMAIL, full_name="Kim Example"), order()).version == 1


def test_a_deleted_persons_address_is_free_and_their_data_erased(users: Users) -> None:
    user_id = registered(users)
    sealed = state(users, user_id).email
    users.delete(user_id, order())
    assert users.guards.owner_of_email(EMAIL) is None
    assert users.personal.open(user_id, "email", sealed) == ERASED
    assert check_chain(users.store.load(USERS.stream(user_id))) is None
    assert state(users, user_id).is_deleted
    assert users.delete(user_id, order()).version == 2  # sent again: nothing more happens
    with pytest.raises(NotFoundError):
        users.change_role(user_id, Role.ADMIN, order())


def test_a_deletion_that_was_interrupted_before_the_key_is_finished_when_sent_again(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = registered(users)
    sealed = state(users, user_id).email
    with monkeypatch.context() as interrupted:
        interrupted.setattr(PersonalData, "erase", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            users.delete(user_id, order())
    users.delete(user_id, order())
    assert users.personal.open(user_id, "email", sealed) == ERASED


def _interrupted(_self: PersonalData, _person: str) -> None:
    raise KeyboardInterrupt


def test_what_is_personal_stands_nowhere_in_the_store(users: Users) -> None:
    user_id = registered(users)
    for n in range(60):  # past two snapshots
        users.change_profile(user_id, ChangeProfile(full_name=f"Kim Number {n}"), order())
    text = stored_text(users)
    assert "example.com" not in text
    assert "Kim" not in text
    assert users.personal.open(user_id, "full_name", state(users, user_id).full_name) == "Kim Number 59"


def test_the_last_active_admin_is_neither_demoted_nor_deactivated_nor_deleted(users: Users) -> None:
    admin = registered(users, role=Role.ADMIN)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: users.change_role(admin, Role.USER, order()),
        lambda: users.set_active(admin, order(), active=False),
        lambda: users.delete(admin, order()),
    )
    for attempt in attempts:
        with pytest.raises(StateConflictError, match="last active admin"):
            attempt()
    assert state(users, admin).is_active_admin
    assert users.personal.open(admin, "email", state(users, admin).email) == EMAIL


def test_a_deactivated_admin_does_not_count(users: Users) -> None:
    first, second = registered(users, role=Role.ADMIN), registered(users, "b@example.com", Role.ADMIN)
    users.set_active(second, order(), active=False)
    with pytest.raises(StateConflictError):
        users.change_role(first, Role.USER, order())
    users.set_active(second, order(), active=True)
    users.change_role(first, Role.USER, order())
    users.change_role(first, Role.USER, order())  # no change, no count
    with pytest.raises(StateConflictError):
        users.delete(second, order())


@pytest.mark.parametrize("_round", range(20))
def test_of_two_admins_who_demote_each_other_at_once_one_succeeds(users: Users, _round: int) -> None:
    admins = [registered(users, f"{n}@example.com", Role.ADMIN) for n in range(2)]
    barrier = Barrier(2)

    def demoted(admin: str) -> bool:
        barrier.wait()
        try:
            users.change_role(admin, Role.USER, order())
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demoted, admins)) == [False, True]
    assert sum(state(users, admin).is_active_admin for admin in admins) == 1
