"""Users: their addresses are theirs alone, an active admin is always left, and what is personal is sealed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from commands.execution import Order, new_id, now
from commands.users import Users
from domain.commit import CommandKey, check_chain
from domain.decider import fold
from domain.errors import ForbiddenError, NotFoundError, StateConflictError
from domain.permissions import Role
from domain.users import USERS, ChangePassword, ChangeUser, RegisterUser, User
from infra import passwords
from infra.guards import Guards
from infra.memory_event_store import MemoryEventStore
from infra.passwords import hashed, matches
from infra.personal_data import ERASED, MemoryDataKeys, PersonalData

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = "kim@example.com"
PASSWORD, NEW_PASSWORD = "correct horse battery", "staple of batteries"


class OwnersInMemory(Guards):
    """Guards whose look-ups go to the store in memory; the writes are the real ones."""

    def __init__(self, store: MemoryEventStore) -> None:
        nowhere: Any = None
        super().__init__(nowhere, "guards", b"k" * 32)
        self._store = store

    def owner_of_email(self, email: str) -> str | None:
        return self._store.owners.get(self._email_key(email))


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_ROUNDS", 4)


@pytest.fixture
def users() -> Users:
    store = MemoryEventStore()
    return Users(store, OwnersInMemory(store), PersonalData(MemoryDataKeys()))


def order(key: str | None = None) -> Order:
    command = CommandKey(key, "digest") if key else None
    return Order(by="u-0", at=now(), correlation_id="co", causation_id="ca", command=command)


def memory(users: Users) -> MemoryEventStore:
    assert isinstance(users.store, MemoryEventStore)
    return users.store


def keys(users: Users) -> set[str]:
    """Those who have a key."""
    assert isinstance(users.personal._keys, MemoryDataKeys)
    return set(users.personal._keys.keys)


def registered(users: Users, email: str = EMAIL, role: Role = Role.USER) -> str:
    user_id = new_id()
    users.register(user_id, RegisterUser(email=email, full_name="Kim Example", role=role), hashed(PASSWORD), order())
    return user_id


def state(users: Users, user_id: str) -> User:
    found = fold(USERS, users.store.load(USERS.stream(user_id)))
    assert found
    return found


def stored_text(users: Users) -> str:
    return "".join(f"{c.encoded}{c.snapshot!r}{c.stream}" for stream in memory(users).streams.values() for c in stream)


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
    users.change(user_id, ChangeUser(email="new@example.com"), order())
    assert users.guards.owner_of_email("new@example.com") == user_id
    assert users.guards.owner_of_email(EMAIL) is None
    registered(users)  # somebody else may have it now
    with pytest.raises(StateConflictError):
        users.change(user_id, ChangeUser(email=EMAIL), order())
    assert users.guards.owner_of_email("new@example.com") == user_id


def test_a_profile_that_stays_the_same_appends_nothing(users: Users) -> None:
    user_id = registered(users)
    assert users.change(user_id, ChangeUser(email=EMAIL, full_name="Kim Example"), order()).version == 1


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
        users.change(user_id, ChangeUser(role=Role.ADMIN), order())


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
        users.change(user_id, ChangeUser(full_name=f"Kim Number {n}"), order())
    text = stored_text(users)
    assert "example.com" not in text
    assert "Kim " not in text  # with the blank: base64 may happen to hold the three letters
    assert users.personal.open(user_id, "full_name", state(users, user_id).full_name) == "Kim Number 59"


def test_the_last_active_admin_is_neither_demoted_nor_deactivated_nor_deleted(users: Users) -> None:
    admin = registered(users, role=Role.ADMIN)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: users.change(admin, ChangeUser(role=Role.USER), order()),
        lambda: users.change(admin, ChangeUser(is_active=False), order()),
        lambda: users.delete(admin, order()),
    )
    for attempt in attempts:
        with pytest.raises(StateConflictError, match="last active admin"):
            attempt()
    assert state(users, admin).is_active_admin
    assert users.personal.open(admin, "email", state(users, admin).email) == EMAIL


def test_a_deactivated_admin_does_not_count(users: Users) -> None:
    first, second = registered(users, role=Role.ADMIN), registered(users, "b@example.com", Role.ADMIN)
    users.change(second, ChangeUser(is_active=False), order())
    with pytest.raises(StateConflictError):
        users.change(first, ChangeUser(role=Role.USER), order())
    users.change(second, ChangeUser(is_active=True), order())
    users.change(first, ChangeUser(role=Role.USER), order())
    users.change(first, ChangeUser(role=Role.USER), order())  # no change, no count
    with pytest.raises(StateConflictError):
        users.delete(second, order())


@pytest.mark.parametrize("_round", range(20))
def test_of_two_admins_who_demote_each_other_at_once_one_succeeds(users: Users, _round: int) -> None:
    admins = [registered(users, f"{n}@example.com", Role.ADMIN) for n in range(2)]
    barrier = Barrier(2)

    def demoted(admin: str) -> bool:
        barrier.wait()
        try:
            users.change(admin, ChangeUser(role=Role.USER), order())
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demoted, admins)) == [False, True]
    assert sum(state(users, admin).is_active_admin for admin in admins) == 1


# ---- registering


def test_a_registration_that_is_refused_leaves_no_key(users: Users) -> None:
    user_id = registered(users)
    with pytest.raises(StateConflictError, match="registered already"):
        registered(users)
    assert keys(users) == {user_id}


def test_a_repeated_registration_is_answered_as_the_first_one_was(users: Users) -> None:
    command = RegisterUser(email=EMAIL, full_name="Kim Example")
    first = users.register("u-1", command, "$2b$first", order("k"))
    users.change("u-1", ChangeUser(email="new@example.com"), order())
    registered(users)  # somebody else has the address by now
    again = users.register("u-1", command, "$2b$again", order("k"))
    assert (again.state, again.version, again.repeated) == (first.state, 1, True)


def test_a_repeated_registration_makes_no_key_for_somebody_who_is_deleted_since(users: Users) -> None:
    command = RegisterUser(email=EMAIL, full_name="Kim Example")
    users.register("u-1", command, "$2b$first", order("k"))
    users.delete("u-1", order())
    again = users.register("u-1", command, "$2b$again", order("k"))
    assert again.state
    assert users.profile("u-1", again.state) == (ERASED, ERASED)
    with pytest.raises(StateConflictError, match="registered already"):
        users.register("u-1", command, "$2b$again", order())  # the stream has forgotten the key
    assert keys(users) == set()


def test_somebody_whose_key_is_gone_can_still_be_deactivated_and_deleted(users: Users) -> None:
    """As all keys are when the key that wraps them was deleted."""
    registered(users, "root@example.com", Role.ADMIN)
    user_id = registered(users)
    users.personal.erase(user_id)
    users.change(user_id, ChangeUser(role=Role.ADMIN, is_active=False), order())
    users.delete(user_id, order())
    assert state(users, user_id).is_deleted
    assert user_id not in keys(users)


# ---- changing several things


def test_several_things_change_in_one_commit_with_all_their_guards(users: Users) -> None:
    registered(users, "root@example.com", Role.ADMIN)
    user_id = registered(users, role=Role.ADMIN)
    change = ChangeUser(email="new@example.com", full_name="Kim New", role=Role.USER, is_active=False)
    outcome = users.change(user_id, change, order())
    assert outcome.version == 4
    _, commit = memory(users).streams[USERS.stream(user_id)]
    assert [event.t for event in commit.stored_events()] == [
        "user.profile-changed",
        "user.role-changed",
        "user.deactivated",
    ]
    assert outcome.state
    assert users.profile(user_id, outcome.state) == ("new@example.com", "Kim New")
    assert (users.guards.owner_of_email(EMAIL), users.guards.owner_of_email("new@example.com")) == (None, user_id)
    assert memory(users).counts["admins"] == 1
    assert set(memory(users).stops) == {f"stopped#{user_id}"}


@pytest.mark.parametrize(
    ("email", "told"), [("taken@example.com", "registered already"), ("free@example.com", "last active admin")]
)
def test_of_several_changes_none_is_made_if_one_is_refused(users: Users, email: str, told: str) -> None:
    admin = registered(users, role=Role.ADMIN)
    registered(users, "taken@example.com")
    before = state(users, admin)
    with pytest.raises(StateConflictError, match=told):
        users.change(admin, ChangeUser(email=email, role=Role.USER), order())
    assert state(users, admin) == before
    assert users.guards.owner_of_email(EMAIL) == admin
    assert memory(users).counts["admins"] == 1
    assert memory(users).stops == {}


# ---- the end of access tokens


def test_a_new_password_or_role_and_the_end_of_activity_stop_what_was_issued_before(
    users: Users, subtests: pytest.Subtests
) -> None:
    registered(users, "root@example.com", Role.ADMIN)
    user_id = registered(users)
    own = ChangePassword(new_password=NEW_PASSWORD, old_password=PASSWORD)
    steps: list[tuple[str, bool, Callable[[], object]]] = [
        ("name", False, lambda: users.change(user_id, ChangeUser(full_name="Kim New"), order())),
        ("address", False, lambda: users.change(user_id, ChangeUser(email="new@example.com"), order())),
        ("promotion", True, lambda: users.change(user_id, ChangeUser(role=Role.ADMIN), order())),
        ("demotion", True, lambda: users.change(user_id, ChangeUser(role=Role.USER), order())),
        ("the same role", False, lambda: users.change(user_id, ChangeUser(role=Role.USER), order())),
        ("password", True, lambda: users.change_password(user_id, own, order())),
        ("reset", True, lambda: users.change_password(user_id, ChangePassword(new_password=PASSWORD), order())),
        ("deactivation", True, lambda: users.change(user_id, ChangeUser(is_active=False), order())),
        ("reactivation", False, lambda: users.change(user_id, ChangeUser(is_active=True), order())),
        ("deletion", True, lambda: users.delete(user_id, order())),
    ]
    for name, stops, step in steps:
        with subtests.test(name):
            memory(users).stops.clear()
            step()
            assert set(memory(users).stops) == ({f"stopped#{user_id}"} if stops else set())


def test_what_is_issued_while_a_change_is_under_way_is_stopped_with_it(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset takes long, and is overtaken by a demotion while it does: its stop must be the later one all the same."""
    registered(users, "root@example.com", Role.ADMIN)
    user_id = registered(users, role=Role.ADMIN)
    issued: list[int] = []

    def slowly(password: str) -> str:
        if not issued:
            users.change(user_id, ChangeUser(role=Role.USER), order())
            issued.append(stopped(users, user_id) + 1)
        while milliseconds(now()) < issued[0]:
            pass
        return hashed(password)

    monkeypatch.setattr("commands.users.hashed", slowly)
    users.change_password(user_id, ChangePassword(new_password=NEW_PASSWORD), order())
    assert stopped(users, user_id) >= issued[0]


def stopped(users: Users, user_id: str) -> int:
    return memory(users).stops[f"stopped#{user_id}"]


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# ---- passwords


def test_a_password_is_changed_with_the_old_one(users: Users) -> None:
    user_id = registered(users)
    wrong = ChangePassword(new_password=NEW_PASSWORD, old_password="not the old one")
    with pytest.raises(ForbiddenError, match="old password is wrong"):
        users.change_password(user_id, wrong, order())
    assert matches(PASSWORD, state(users, user_id).password_hash)
    users.change_password(user_id, ChangePassword(new_password=NEW_PASSWORD, old_password=PASSWORD), order())
    after = state(users, user_id)
    assert matches(NEW_PASSWORD, after.password_hash)
    assert not after.password_change_required


def test_a_password_that_is_reset_must_be_changed_by_its_owner(users: Users) -> None:
    user_id = registered(users)
    users.change_password(user_id, ChangePassword(new_password=NEW_PASSWORD), order())
    after = state(users, user_id)
    assert matches(NEW_PASSWORD, after.password_hash)
    assert after.password_change_required
    users.change_password(user_id, ChangePassword(new_password=PASSWORD, old_password=NEW_PASSWORD), order())
    assert not state(users, user_id).password_change_required


def test_nobody_who_is_not_there_gets_a_password(users: Users) -> None:
    user_id = registered(users)
    users.delete(user_id, order())
    for missing in (user_id, "nobody"):
        with pytest.raises(NotFoundError):
            users.change_password(missing, ChangePassword(new_password=NEW_PASSWORD), order())
