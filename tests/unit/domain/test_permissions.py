"""Who may do what."""

from datetime import UTC, datetime

import pytest

from domain.errors import ForbiddenError, NotFoundError
from domain.permissions import Caller, Permission, Role, check_create, check_update, owns
from domain.tasks import Priority, Task

ADMIN = Caller(user_id="root", role=Role.ADMIN)
ADA = Caller(user_id="ada", role=Role.USER)
NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


def task(created_by: str, assigned_user_id: str | None = None) -> Task:
    return Task(
        title="Disk full",
        description="The disk is full.",
        priority=Priority.LOW,
        created_at=NOW,
        updated_at=NOW,
        created_by=created_by,
        assigned_user_id=assigned_user_id,
    )


def test_an_admin_may_do_everything() -> None:
    assert all(ADMIN.may(permission) for permission in Permission)


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        (Permission.ANY_USER, True),
        (Permission.READ_EVENTS, True),
        (Permission.READ_OWN_TASKS, True),
        (Permission.CREATE_OWN_TASKS, True),
        (Permission.UPDATE_OWN_TASKS, True),
        (Permission.READ_ALL_TASKS, False),
        (Permission.CREATE_TASKS, False),
        (Permission.UPDATE_TASKS, False),
        (Permission.DELETE_TASKS, False),
        (Permission.OWN_PROFILE, True),
        (Permission.USERS, False),
        (Permission.CONFIG, False),
        (Permission.REDRIVE, False),
    ],
)
def test_a_user_may_do_what_concerns_themselves(permission: Permission, *, allowed: bool) -> None:
    assert ADA.may(permission) is allowed


def test_every_permission_of_a_user_is_decided_above() -> None:
    """A new permission must not fall to users unseen: give it a line in the table above."""
    decided = {
        case.args[0] if hasattr(case, "args") else case[0]
        for mark in test_a_user_may_do_what_concerns_themselves.pytestmark  # type: ignore[attr-defined]
        for case in mark.args[1]
    }
    assert decided == set(Permission) - {Permission.OPEN}


def test_a_user_creates_tasks_for_themselves_only() -> None:
    check_create(ADA, "ada")
    for assignee in ("bob", None):
        with pytest.raises(ForbiddenError, match="assigned to yourself"):
            check_create(ADA, assignee)


def test_an_admin_creates_tasks_for_anybody_and_for_nobody() -> None:
    for assignee in ("bob", "root", None):
        check_create(ADMIN, assignee)


def test_a_task_is_its_creators_and_its_assignees() -> None:
    assert owns(ADA, task(created_by="ada"))
    assert owns(ADA, task(created_by="root", assigned_user_id="ada"))
    assert not owns(ADA, task(created_by="root", assigned_user_id="bob"))
    assert not owns(ADA, task(created_by="root"))


def test_a_user_updates_their_own_tasks_and_does_not_learn_of_others() -> None:
    check_update(ADA, task(created_by="ada", assigned_user_id="bob"))
    check_update(ADA, task(created_by="root", assigned_user_id="ada"))
    with pytest.raises(NotFoundError, match="no such task"):
        check_update(ADA, task(created_by="root", assigned_user_id="bob"))


def test_an_admin_updates_every_task() -> None:
    check_update(ADMIN, task(created_by="ada", assigned_user_id="bob"))
