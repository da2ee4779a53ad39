"""The rules of users: what an address, a name and a password may be, and registering."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.commit import Recorded
from domain.errors import InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent
from domain.permissions import Role
from domain.tasks import TaskCommented
from domain.users import (
    USERS,
    ChangePassword,
    ChangeUser,
    Password,
    RegisterUser,
    User,
    UserDeactivated,
    UserDeleted,
    UserPasswordChanged,
    UserProfileChanged,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    change,
    check_password_change,
    check_unregistered,
    delete,
    normalised_email,
)

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
REGISTERED = UserRegistered(email="sealed e-mail", full_name="sealed name", role=Role.ADMIN, password_hash="$2b$")


def user(*events: DomainEvent) -> User:
    """The user after being registered at NOW and these events, a minute apart."""
    state = None
    for version, event in enumerate((REGISTERED, *events), start=1):
        state = USERS.evolve(state, Recorded(event, version, NOW + timedelta(minutes=version - 1), "root"))
    assert state is not None
    return state


def test_a_registered_user_is_active() -> None:
    assert user() == User(
        email="sealed e-mail",
        full_name="sealed name",
        role=Role.ADMIN,
        password_hash="$2b$",
        is_active=True,
        created_at=NOW,
        updated_at=NOW,
    )


def test_what_is_sent_to_register_is_normalised() -> None:
    command = RegisterUser(email="Ada@Example.com ", full_name=" Ada Lovelace ")
    assert (command.email, command.full_name) == ("ada@example.com", "Ada Lovelace")


def test_a_user_is_no_admin_unless_it_is_said() -> None:
    assert RegisterUser(email="ada@example.com", full_name="Ada").role is Role.USER


def test_a_user_is_registered_once() -> None:
    with pytest.raises(StateConflictError, match="registered already"):
        check_unregistered(user())
    with pytest.raises(StateConflictError, match="registered already"):
        check_unregistered(user(UserDeleted()))
    check_unregistered(None)


PROFILE = UserProfileChanged(email="another e-mail", full_name="another name")
DEMOTED = UserRoleChanged(old=Role.ADMIN, new=Role.USER)


def test_a_changed_profile_is_as_it_was_sent() -> None:
    assert change(user(), ChangeUser(full_name="Ada King"), PROFILE) == [PROFILE]
    after = user(PROFILE)
    assert (after.email, after.full_name, after.role) == ("another e-mail", "another name", Role.ADMIN)
    assert (after.created_at, after.updated_at) == (NOW, NOW + timedelta(minutes=1))


def test_a_role_changes_and_the_one_that_they_have_already_changes_nothing() -> None:
    assert change(user(), ChangeUser(role=Role.USER), None) == [DEMOTED]
    assert change(user(), ChangeUser(role=Role.ADMIN), None) == []
    assert user(DEMOTED).role is Role.USER


@pytest.mark.parametrize(
    ("before", "is_active", "events"),
    [
        ([], False, [UserDeactivated()]),
        ([], True, []),
        ([UserDeactivated()], False, []),
        ([UserDeactivated()], True, [UserReactivated()]),
    ],
)
def test_a_user_is_deactivated_and_reactivated_once_each(
    *, before: list[DomainEvent], is_active: bool, events: list[DomainEvent]
) -> None:
    assert change(user(*before), ChangeUser(is_active=is_active), None) == events
    assert user(*before, *events).is_active is is_active


def test_several_things_change_at_once_and_nothing_that_was_not_sent() -> None:
    command = ChangeUser(email="ada.king@example.com", role=Role.USER, is_active=False)
    assert change(user(), command, PROFILE) == [PROFILE, DEMOTED, UserDeactivated()]
    assert change(user(), ChangeUser(), None) == []


@pytest.mark.parametrize("field", ["email", "full_name", "role", "is_active"])
def test_what_a_user_has_cannot_be_taken_away_by_null(field: str) -> None:
    with pytest.raises(ValidationError, match="cannot be null"):
        ChangeUser.model_validate({field: None})


@pytest.mark.parametrize("sent", [{"is_active": "true"}, {"is_active": 1}, {"role": "root"}, {"id": "1"}])
def test_what_is_no_change_of_a_user_is_refused(sent: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ChangeUser.model_validate(sent)


def test_a_password_that_an_admin_set_must_be_changed_until_its_owner_has() -> None:
    assert not user().password_change_required
    reset = UserPasswordChanged(password_hash="$2b$reset", must_change=True)
    after = user(reset)
    assert (after.password_hash, after.password_change_required) == ("$2b$reset", True)
    after = user(reset, UserPasswordChanged(password_hash="$2b$own", must_change=False))
    assert (after.password_hash, after.password_change_required) == ("$2b$own", False)


OLD, NEW = "correct horse battery", "staple of batteries"


@pytest.mark.parametrize(
    ("old", "new", "own", "field"),
    [
        (None, NEW, True, "old_password"),
        (OLD, NEW, False, "old_password"),
        (OLD, OLD, True, "new_password"),
        (OLD, NEW, True, None),
        (None, NEW, False, None),
    ],
)
def test_ones_own_password_changes_with_the_old_one_and_anothers_without(
    *, old: str | None, new: str, own: bool, field: str | None
) -> None:
    command = ChangePassword(new_password=new, old_password=old)
    if field is None:
        check_password_change(command, own=own)
        return
    with pytest.raises(InvalidError) as refused:
        check_password_change(command, own=own)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert OLD not in str(refused.value)


def test_only_an_active_admin_counts_as_one() -> None:
    assert user().is_active_admin
    for events in (
        [UserDeactivated()],
        [DEMOTED],
        [UserDeleted()],
    ):
        assert not user(*events).is_active_admin


def test_a_deleted_user_is_not_there_any_more_and_deleting_again_changes_nothing() -> None:
    assert delete(user()) == [UserDeleted()]
    gone = user(UserDeleted())
    assert (gone.is_deleted, gone.is_active) == (True, False)
    assert delete(gone) == []
    for missing in (gone, None):
        with pytest.raises(NotFoundError):
            change(missing, ChangeUser(role=Role.USER), None)
    with pytest.raises(NotFoundError):
        delete(None)


def test_a_stream_that_does_not_begin_with_a_registration_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"user\.deactivated before user\.registered"):
        USERS.evolve(None, Recorded(UserDeactivated(), 1, NOW, "root"))


def test_an_event_of_another_aggregate_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"task\.commented"):
        USERS.evolve(user(), Recorded(TaskCommented(comment_id="1", comment="x"), 2, NOW, "ada"))


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  ADA@Example.COM\n", "ada@example.com"),
        ("a+b.c@sub.example.co.uk", "a+b.c@sub.example.co.uk"),
        ("ünï@exämple.de", "ünï@exämple.de"),
    ],
)
def test_addresses_are_compared_lower_cased_and_trimmed(typed: str, email: str) -> None:
    assert normalised_email(typed) == email


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@example.",
        "ada@.com",
        "ada@example..com",
        "a da@example.com",
        "ada@exam ple.com",
        "ada@b@example.com",
        "x" * 65 + "@example.com",
        "ada@" + "x" * 251 + ".com",
        "ada@example.com" + " " * 240,
        "a\x00da@example.com",
        "ada@exa\x00mple.com",
        "ada\x1b[31m@example.com",
        "ada\u200b@example.com",  # no width
        "ada@example\u202e.com",  # turns the direction of what follows
        "ada@exa\u00admple.com",
    ],
)
def test_what_does_not_look_like_an_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="must be an e-mail address"):
        normalised_email(typed)
    with pytest.raises(ValidationError):
        RegisterUser(email=typed, full_name="Ada")
    with pytest.raises(ValidationError):
        ChangeUser(email=typed)


def test_what_the_schema_says_of_lengths_is_what_is_enforced() -> None:
    fields = RegisterUser.model_json_schema()["properties"]
    shortest, longest = "a@b.c", "a@b." + "c" * 250
    assert (fields["email"]["minLength"], fields["email"]["maxLength"]) == (len(shortest), len(longest))
    for email in (shortest, longest):
        assert normalised_email(email) == email
    for email in (shortest[1:], longest + "c"):
        with pytest.raises(ValueError, match="e-mail"):
            normalised_email(email)

    field = ChangePassword.model_json_schema()["properties"]["new_password"]
    assert (field["minLength"], field["maxLength"]) == (3, 72)
    for password in ("🔑" * 3, "x" * 12, "🔑" * 18, "x" * 72):
        assert ChangePassword(new_password=password).new_password == password
    for password in ("🔑" * 2, "x" * 11, "🔑" * 18 + "x", "x" * 73):
        with pytest.raises(ValidationError):
            ChangePassword(new_password=password)


def test_matching_an_address_takes_time_in_proportion_to_its_length() -> None:
    """254 characters made to send a pattern back and forth; a pattern that did would not end in this century."""
    with pytest.raises(ValueError, match="e-mail"):
        normalised_email("a@" + "a." * 125 + "@")


@pytest.mark.parametrize("name", ["A", " A ", "x" * 101, "Ada\nLovelace", "Ada\x00"])
def test_a_name_is_one_line_of_2_to_100_characters(name: str) -> None:
    assert RegisterUser(email="ada@example.com", full_name="Al").full_name == "Al"
    assert len(RegisterUser(email="ada@example.com", full_name="x" * 100).full_name) == 100
    with pytest.raises(ValidationError):
        RegisterUser(email="ada@example.com", full_name=name)


@pytest.mark.parametrize("password", ["x" * 12, "x" * 72, "ä" * 6, "ä" * 36, " padded with blanks "])
def test_a_password_of_12_to_72_bytes_is_taken_as_it_is(password: str) -> None:
    assert TypeAdapter[str](Password).validate_python(password) == password


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 73, "ä" * 37])
def test_a_password_that_is_too_short_or_that_bcrypt_would_cut_is_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="12 to 72 bytes"):
        TypeAdapter(Password).validate_python(password)


@pytest.mark.parametrize("password", ["\x00" * 12, "correct horse\x00", "correct\x00horse battery"])
def test_a_password_that_bcrypt_would_repeat_is_refused(password: str) -> None:
    with pytest.raises(ValidationError, match=r"U\+0000"):
        TypeAdapter(Password).validate_python(password)
