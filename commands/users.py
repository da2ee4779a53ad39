"""Registering and changing users: their personal data sealed, their guards moved in the commit's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from commands.execution import GuardsFor, Order, Outcome, execute, new_id
from domain.decider import Decide, fold
from domain.errors import FieldFault, InvalidError, StateConflictError
from domain.event import DomainEvent
from domain.permissions import Role
from domain.users import (
    USERS,
    ChangeProfile,
    RegisterUser,
    User,
    UserProfileChanged,
    UserRegistered,
    change_profile,
    change_role,
    delete,
    present,
    register,
    set_active,
)
from infra.event_store import ConflictError, EventStore, GuardRefusedError, GuardWrite
from infra.guards import Guards
from infra.personal_data import ERASED, PersonalData

_TAKEN = "This e-mail address is registered already."
_LAST_ADMIN = "The last active admin cannot be removed or demoted."


@dataclass(frozen=True)
class Users:
    """What commands on users need."""

    store: EventStore
    guards: Guards
    personal: PersonalData

    def register(self, command: RegisterUser, password_hash: str, order: Order) -> str:
        """Register a user, whose e-mail address becomes theirs. Returns their id.

        Raises:
            StateConflictError: the address belongs to somebody already.
        """
        user_id = new_id()
        event = UserRegistered(
            email=self.personal.seal(user_id, "email", command.email),
            full_name=self.personal.seal(user_id, "full_name", command.full_name),
            role=command.role,
            password_hash=password_hash,
        )

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            return [self.guards.take_email(command.email, user_id), *self._counting(before, after)]

        self._execute(user_id, lambda user: register(user, event), order, guards, _TAKEN, creates=True)
        return user_id

    def change_profile(self, user_id: str, command: ChangeProfile, order: Order) -> Outcome[User]:
        """Change the e-mail address or the name.

        Raises:
            NotFoundError: there is no such user.
            StateConflictError: the new address belongs to somebody already.
        """

        def decide(user: User | None) -> Sequence[DomainEvent]:
            user = present(user)
            old = (self._open(user_id, "email", user), self._open(user_id, "full_name", user))
            if old[0] == ERASED:  # deleted since it was loaded; sealing would make a new key, which opens nothing old
                raise ConflictError(f"{user_id} is being deleted")
            email, name = command.email or old[0], command.full_name or old[1]
            if (email, name) == old:
                return []
            seal = self.personal.seal
            sealed = UserProfileChanged(email=seal(user_id, "email", email), full_name=seal(user_id, "full_name", name))
            return change_profile(user, sealed)

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            old, new = (self._open(user_id, "email", present(user)) for user in (before, after))
            if old == new:
                return []
            return [self.guards.take_email(new, user_id), self.guards.release_email(old, user_id)]

        return self._execute(user_id, decide, order, guards, _TAKEN)

    def change_role(self, user_id: str, role: Role, order: Order) -> Outcome[User]:
        """Promote or demote a user.

        Raises:
            NotFoundError: there is no such user.
            StateConflictError: it is the last active admin.
        """
        return self._execute(user_id, lambda user: change_role(user, role), order, self._counting, _LAST_ADMIN)

    def set_active(self, user_id: str, order: Order, *, active: bool) -> Outcome[User]:
        """Deactivate or reactivate a user. Raises as `change_role`."""
        return self._execute(user_id, lambda user: set_active(user, active=active), order, self._counting, _LAST_ADMIN)

    def delete(self, user_id: str, order: Order) -> Outcome[User]:
        """Delete a user and erase their personal data. Sent again, it finishes what was interrupted.

        Raises:
            NotFoundError: there never was such a user.
            StateConflictError: it is the last active admin.
        """

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            email = self._open(user_id, "email", present(before))
            return [self.guards.release_email(email, user_id), *self._counting(before, after)]

        outcome = self._execute(user_id, delete, order, guards, _LAST_ADMIN)
        self.personal.erase(user_id)
        return outcome

    def _counting(self, before: User | None, after: User | None) -> Sequence[GuardWrite]:
        """The number of active admins, if it moves."""
        by = (after is not None and after.is_active_admin) - (before is not None and before.is_active_admin)
        return [self.guards.count_admins(by)] if by else []

    def _open(self, user_id: str, field: str, user: User) -> str:
        return self.personal.open(user_id, field, getattr(user, field))

    def _execute(
        self,
        user_id: str,
        decide: Decide[User],
        order: Order,
        guards: GuardsFor[User],
        refusal: str,
        *,
        creates: bool = False,
    ) -> Outcome[User]:
        try:
            return execute(self.store, USERS, user_id, decide, order, guards=guards, creates=creates)
        except GuardRefusedError:
            raise StateConflictError(refusal) from None


def require_active(store: EventStore, user_id: str, field: str) -> None:
    """Raises InvalidError, naming the request's `field`, unless this is an active user."""
    user = fold(USERS, store.load(USERS.stream(user_id)))
    if user is None or not user.is_active:
        raise InvalidError(FieldFault(field, "is not an active user"))
