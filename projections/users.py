"""Users: a row for each, without the password's hash."""

from collections.abc import Sequence

from domain.commit import Commit, Recorded
from domain.users import USERS, User
from infra.views import CounterMoves, Key, Row
from projections.projection import Folded

_HIDDEN = ""


class UserProjection:
    """See the module."""

    category = USERS.category

    def key(self, hint: Commit) -> Key:
        """See `Projection.key`."""
        return Key(hint.stream, "user")

    def fold(self, row: Row | None, stream: str, events: Sequence[Recorded]) -> Folded:
        """See `Projection.fold`."""
        user = User.model_validate_json(row.data) if row else None
        for recorded in events:
            user = USERS.evolve(user, recorded)
        assert user is not None  # noqa: S101 - there is at least one event
        shown = user.model_copy(update={"password_hash": _HIDDEN})  # it never leaves the write side
        return Folded(Row(stream, "user", version=events[-1].version, data=shown.model_dump_json()))

    def contributions(self, row: Row) -> CounterMoves:  # noqa: ARG002
        """See `Projection.contributions`."""
        return {}
