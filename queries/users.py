"""Users: oneself, others, the list of all, and the names of those that something else mentions."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field

from domain.errors import NotFoundError
from domain.permissions import Permission, Role
from domain.user_shape import UserShown, shown_user
from domain.users import USERS, User
from infra.counters import CounterRow, last_login
from infra.request import QueryFlag
from infra.rest import Answer, Request
from infra.views import USERS_LIST, Key, Row, rows_by_key
from queries.paging import Listing, Page, SearchedListOf, page
from queries.read_your_write import MinVersion, await_listed_row, await_row, laid_over
from queries.search import Candidate, rows_between, search

OWN_NAME = "opsledger"
"""Of those that act on nobody's behalf, such as `system:reactions`."""


class UserListing(Listing, MinVersion):
    """What the list of users takes."""

    role: Annotated[Role, Field(description="only users of this role")] | None = None
    is_active: Annotated[QueryFlag, Field(description="only users who may, or may not, log in")] | None = None


def get_me(request: Request, query: MinVersion) -> Answer[UserShown]:
    """Oneself."""
    return _user(request.caller.user_id, query)


def get_user(request: Request, user_id: str, query: MinVersion) -> Answer[UserShown]:
    """A user: oneself, or as an admin anybody."""
    if user_id != request.caller.user_id and not request.caller.may(Permission.USERS):
        raise NotFoundError("There is no such user.")  # that there is one is not told to people who may not see them
    return _user(user_id, query)


def list_users(request: Request, query: UserListing) -> Answer[SearchedListOf[UserShown]]:  # noqa: ARG001 - all are seen
    """Users, newest first."""
    wanted = page(query, "users", 1)
    own = await_listed_row(query, USERS.category, "user")
    found = search(
        _candidates(wanted, own),
        lambda _, row: row if _takes(query, _state(row)) else None,
        wanted.limit,
        wanted.position[0] if wanted.position else None,
    )
    logins = _last_logins(found.items)
    items = [_shown(row, logins) for row in found.items]
    return Answer(wanted.searched(items, (found.last,) if found.last else None, found.stopped_after))


def names(user_ids: Iterable[str | None]) -> dict[str, str]:
    """Actors' names by id, in one call; people who are unknown are left out."""
    actors = set(filter(None, user_ids))
    own = {actor for actor in actors if actor.startswith("system:")}
    rows = rows_by_key(Key(USERS.stream(user_id), "user") for user_id in actors - own)
    return dict.fromkeys(own, OWN_NAME) | {_id(row): json.loads(row.data)["full_name"] for row in rows.values()}


def _user(user_id: str, query: MinVersion) -> Answer[UserShown]:
    key = Key(USERS.stream(user_id), "user")
    row = await_row(query, key) or rows_by_key([key]).get(key)
    if row is None or _state(row).is_deleted:
        raise NotFoundError("There is no such user (yet).")
    return Answer(_shown(row, _last_logins([row])), int(row.version), row.pk)


def _candidates(wanted: Page[Any], own: Row | None) -> Iterator[Candidate]:
    """All users who are there, in the list's order, from where the page begins."""
    after = wanted.position[0] if wanted.position else None
    low, high = (after, None) if wanted.ascending else (None, after)
    first = wanted.limit + (1 if after is None else 2)  # one more tells whether there is a next page
    rows = rows_between(Row.by_status.query, Row.gsi1sk, USERS_LIST, low, high, ascending=wanted.ascending, first=first)
    if own and own.gsi1sk is None:  # deleted, which the index may not know yet
        rows = (row for row in rows if row.key != own.key)
    elif own and (after is None or (_place(own) > after) is wanted.ascending):
        rows = laid_over(rows, own, lambda row: row.key, _place, ascending=wanted.ascending)
    return (Candidate(_place(row), row.key, row) for row in rows)


def _takes(query: UserListing, user: User) -> bool:
    return query.role in {None, user.role} and query.is_active in {None, user.is_active}


def _last_logins(rows: Iterable[Row]) -> dict[str, int]:
    """When people last logged in, in seconds since the epoch, by their id; in one call."""
    wanted: list[Any] = [last_login(_id(row)) for row in rows]
    return {_id(row): int(row.n) for row in CounterRow.batch_get(wanted)} if wanted else {}


def _shown(row: Row, logins: dict[str, int]) -> UserShown:
    data = json.loads(row.data)
    return shown_user(_id(row), _state(row), data["email"], data["full_name"], logins.get(_id(row)))


def _state(row: Row) -> User:
    return User.model_validate(json.loads(row.data)["user"])


def _place(row: Row) -> str:
    return str(row.gsi1sk)


def _id(row: Row | CounterRow) -> str:
    return str(row.pk).partition("#")[2]
