"""Registering and changing users: their personal data sealed, their guards moved in the commit's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from commands.execution import GuardsFor, Order, Outcome, execute, now
from domain.decider import Decide, fold
from domain.errors import FieldFault, ForbiddenError, InvalidError, StateConflictError
from domain.event import DomainEvent
from domain.users import (
    USERS,
    ChangePassword,
    ChangeUser,
    RegisterUser,
    User,
    UserPasswordChanged,
    UserProfileChanged,
    UserRegistered,
    change,
    check_unregistered,
    delete,
    present,
)
from infra.event_store import ConflictError, EventStore, GuardRefusedError, GuardWrite
from infra.guards import Guards
from infra.passwords import hashed, matches
from infra.personal_data import ERASED, PersonalData

_TAKEN = "This e-mail address is registered already."
_LAST_ADMIN = "The last active admin cannot be removed, demoted or deactivated."


@dataclass(frozen=True)
class Users:
    """What commands on users need."""

    store: EventStore
    guards: Guards
    personal: PersonalData

    def register(self, user_id: str, command: RegisterUser, password_hash: str, order: Order) -> Outcome[User]:
        """Register a user, whose e-mail address becomes theirs.

        Raises:
            StateConflictError: the address belongs to somebody already.
        """

        def decide(user: User | None) -> Sequence[DomainEvent]:
            check_unregistered(user)
            # Sealing makes the person's key, so that it comes after what is likely to be refused. Of two who register
            # an address in the same moment one is still refused by its guard, and leaves a key that seals nothing.
            self._check_free(command.email, user_id)
            sealed = self._sealed(user_id, command.email, command.full_name)
            return [UserRegistered(**sealed, role=command.role, password_hash=password_hash)]

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            return [self.guards.take_email(command.email, user_id), *self._counting(before, after)]

        # The stream is loaded though it should be empty: for a repeat nothing may be sealed any more. The person may
        # be deleted since, and a new key would open nothing of what is to read as erased.
        return self._execute(user_id, decide, order, guards, _TAKEN)

    def change(self, user_id: str, command: ChangeUser, order: Order) -> Outcome[User]:
        """Change any of e-mail address, name, role and activity, in one commit.

        Raises:
            NotFoundError: there is no such user.
            StateConflictError: the new address belongs to somebody already, or it is the last active admin.
        """

        def decide(user: User | None) -> Sequence[DomainEvent]:
            return change(user, command, self._changed_profile(user_id, present(user), command))

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            return [
                *self._moving_email(user_id, before, after),
                *self._counting(before, after),
                *self._stopping(user_id, before, after),  # last, for it takes the time
            ]

        try:
            return self._execute(user_id, decide, order, guards, _LAST_ADMIN)
        except StateConflictError:
            if command.email is not None:  # the store does not tell which guard refused
                self._check_free(command.email, user_id)
            raise

    def change_password(self, user_id: str, command: ChangePassword, order: Order) -> Outcome[User]:
        """Change a password. Without the old one it must be changed again by its owner.

        Raises:
            NotFoundError: there is no such user.
            ForbiddenError: the old password is given, and wrong.
        """

        def decide(user: User | None) -> Sequence[DomainEvent]:
            user = present(user)
            if command.old_password is not None and not matches(command.old_password, user.password_hash):
                raise ForbiddenError("The old password is wrong.")
            must_change = command.old_password is None
            return [UserPasswordChanged(password_hash=hashed(command.new_password), must_change=must_change)]

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            return self._stopping(user_id, before, after)

        return execute(self.store, USERS, user_id, decide, order, guards=guards)

    def delete(self, user_id: str, order: Order) -> Outcome[User]:
        """Delete a user and erase their personal data. Sent again, it finishes what was interrupted.

        Raises:
            NotFoundError: there never was such a user.
            StateConflictError: it is the last active admin.
        """

        def decide(user: User | None) -> Sequence[DomainEvent]:
            if user is not None and user.is_deleted:
                self.personal.erase(user_id)  # also where the order's expected version refuses what is done already
            return delete(user)

        def guards(before: User | None, after: User | None) -> Sequence[GuardWrite]:
            email = self._open(user_id, "email", present(before))
            return [
                # An address whose key is gone cannot be found among the guards any more, and stays taken.
                *([] if email == ERASED else [self.guards.release_email(email, user_id)]),
                *self._counting(before, after),
                *self._stopping(user_id, before, after),  # last, for it takes the time
            ]

        outcome = self._execute(user_id, decide, order, guards, _LAST_ADMIN)
        self.personal.erase(user_id)
        return outcome

    def profile(self, user_id: str, user: User) -> tuple[str, str]:
        """The e-mail address and the name, opened; both ERASED for a deleted user."""
        return self._open(user_id, "email", user), self._open(user_id, "full_name", user)

    def _changed_profile(self, user_id: str, user: User, command: ChangeUser) -> UserProfileChanged | None:
        if command.email is None and command.full_name is None:
            return None
        old = self.profile(user_id, user)
        if old[0] == ERASED:  # deleted since it was loaded; sealing would make a new key, which opens nothing old
            raise ConflictError(f"{user_id} is being deleted")
        new = (command.email or old[0], command.full_name or old[1])
        return UserProfileChanged(**self._sealed(user_id, *new)) if new != old else None

    def _moving_email(self, user_id: str, before: User | None, after: User | None) -> Sequence[GuardWrite]:
        old, new = (self._open(user_id, "email", present(user)) for user in (before, after))
        if old == new:
            return []
        return [self.guards.take_email(new, user_id), self.guards.release_email(old, user_id)]

    def _counting(self, before: User | None, after: User | None) -> Sequence[GuardWrite]:
        """The number of active admins, if it moves."""
        by = (after is not None and after.is_active_admin) - (before is not None and before.is_active_admin)
        return [self.guards.count_admins(by)] if by else []

    def _stopping(self, user_id: str, before: User | None, after: User | None) -> Sequence[GuardWrite]:
        """The end of the access tokens that say, or were got by, what is so no longer.

        Up to now, not up to when the order was given: between the two lie hashes of passwords, keys that are fetched
        and conflicts, and whoever logs in or refreshes meanwhile still gets what is about to be so no longer.
        """
        if before is None or after is None:
            return []
        other_password = before.password_hash != after.password_hash
        stops = other_password or before.role is not after.role or (before.is_active and not after.is_active)
        return [self.guards.stop_tokens(user_id, now())] if stops else []

    def _check_free(self, email: str, user_id: str) -> None:
        if self.guards.owner_of_email(email) not in (None, user_id):
            raise StateConflictError(_TAKEN)

    def _sealed(self, user_id: str, email: str, full_name: str) -> dict[str, str]:
        seal = self.personal.seal
        return {"email": seal(user_id, "email", email), "full_name": seal(user_id, "full_name", full_name)}

    def _open(self, user_id: str, field: str, user: User) -> str:
        return self.personal.open(user_id, field, getattr(user, field))

    def _execute(
        self, user_id: str, decide: Decide[User], order: Order, guards: GuardsFor[User], refusal: str
    ) -> Outcome[User]:
        try:
            return execute(self.store, USERS, user_id, decide, order, guards=guards)
        except GuardRefusedError:
            raise StateConflictError(refusal) from None


def require_active(store: EventStore, user_id: str, field: str) -> None:
    """Raises InvalidError, naming the request's `field`, unless this is an active user."""
    user = fold(USERS, store.load(USERS.stream(user_id)))
    if user is None or not user.is_active:
        raise InvalidError(FieldFault(field, "is not an active user"))
