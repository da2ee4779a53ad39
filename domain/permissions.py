"""Who may do what: permissions by role, and what counts as one's own."""

from enum import StrEnum

from domain.errors import ForbiddenError, NotFoundError
from domain.tasks import Task
from domain.value import Value


class Role(StrEnum):
    ADMIN = "admin"
    USER = "user"


class Permission(StrEnum):
    OPEN = "open"
    """No token is asked for."""
    ANY_USER = "any_user"
    READ_EVENTS = "read:events"
    READ_OWN_TASKS = "read:own_tasks"
    READ_ALL_TASKS = "read:all_tasks"
    CREATE_OWN_TASKS = "create:own_tasks"
    """A task that is assigned to its creator."""
    CREATE_TASKS = "create:tasks"
    UPDATE_OWN_TASKS = "update:own_tasks"
    UPDATE_TASKS = "update:tasks"
    DELETE_TASKS = "delete:tasks"
    OWN_PROFILE = "own_profile"
    """One's own profile and password; with `USERS`, everybody's."""
    USERS = "users"
    CONFIG = "config"
    REDRIVE = "redrive"
    """Sending once more what was given up."""


_USER = {
    Permission.ANY_USER,
    Permission.READ_EVENTS,
    Permission.READ_OWN_TASKS,
    Permission.CREATE_OWN_TASKS,
    Permission.UPDATE_OWN_TASKS,
    Permission.OWN_PROFILE,
}
_PERMISSIONS = {Role.USER: frozenset(_USER), Role.ADMIN: frozenset(Permission)}


class Caller(Value):
    """Who sent a request, as the access token tells.

    Attributes:
        must_change_password: somebody else chose it; until then they may do nothing else.
    """

    user_id: str
    role: Role
    session_id: str = ""
    must_change_password: bool = False

    def may(self, permission: Permission) -> bool:
        return permission in _PERMISSIONS[self.role]


def check_create(caller: Caller, assigned_user_id: str | None) -> None:
    """Raises ForbiddenError unless the caller may create a task for that person."""
    if not caller.may(Permission.CREATE_TASKS) and assigned_user_id != caller.user_id:
        raise ForbiddenError("You may create tasks that are assigned to yourself only.")


def check_update(caller: Caller, task: Task) -> None:
    """Raises NotFoundError for another's task: that it exists is not told to people who may not see it."""
    if not caller.may(Permission.UPDATE_TASKS) and not owns(caller, task):
        raise NotFoundError("There is no such task.")


def owns(caller: Caller, task: Task) -> bool:
    """Created by the caller, or assigned to them."""
    return caller.user_id in (task.created_by, task.assigned_user_id)
