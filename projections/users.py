"""Users: a row for each, with the e-mail address and the name opened, and without the password's hash.

They are counted by role and activity, and those who have ever logged in. A deleted one's row stays, so that whoever
they were is shown as erased, but it is in no list and in no counter.
"""

import json
from collections.abc import Sequence
from typing import Any

from domain.commit import Commit, Recorded, timestamp
from domain.users import USERS, User
from infra.counters import LOGGED_IN, USERS_COUNTER, CounterMoves
from infra.personal_data import ERASED, PersonalData
from infra.views import USERS_LIST, Key, Row
from projections.projection import Folded, Projection


class UserProjection(Projection):
    """See the module.

    Args:
        personal: opens what is sealed in the events. It reads keys, and may fail as infrastructure does, or with an
            UnwrapError.
    """

    category = USERS.category

    def __init__(self, personal: PersonalData) -> None:
        self._personal = personal

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "user")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        user = _state(row) if row else None
        for recorded in events:
            user = USERS.evolve(user, recorded)
        assert user is not None  # noqa: S101 - there is at least one event
        user_id = stream.partition("#")[2]
        kept = user.model_copy(update={"password_hash": ""})  # it never leaves the write side
        data: dict[str, Any] = {
            "user": kept.model_dump(mode="json"),
            "email": self._shown(user_id, "email", user),
            "full_name": self._shown(user_id, "full_name", user),
        }
        return Folded(
            Row(
                stream,
                "user",
                version=events[-1].version,
                data=json.dumps(data, ensure_ascii=False),
                gsi1pk=None if user.is_deleted else USERS_LIST,
                gsi1sk=None if user.is_deleted else f"{timestamp(user.created_at)}#{user_id}",
            )
        )

    def contributions(self, row: Row) -> CounterMoves:
        """See `Projection.contributions`."""
        user = _state(row)
        if user.is_deleted:
            return {}
        counted = {Key(USERS_COUNTER, f"{user.role}#{'active' if user.is_active else 'inactive'}"): 1}
        if user.has_logged_in:
            counted[Key(USERS_COUNTER, LOGGED_IN)] = 1
        return counted

    def _shown(self, user_id: str, field: str, user: User) -> str:
        return ERASED if user.is_deleted else self._personal.open(user_id, field, getattr(user, field))


def _state(row: Row) -> User:
    return User.model_validate(json.loads(row.data)["user"])
