"""The dashboard of users."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.permissions import Role
from infra import counts
from infra.counts import summed
from infra.rest import Answer, Request

DAYS = 30


class Logins(TypedDict):
    """Logins of the last 30 UTC days, today so far included; a refreshed token is none."""

    total: int
    by_day: Annotated[dict[str, int], Field(description="oldest first, zeros included")]


class UsersStats(TypedDict):
    """Users that are there now; deleted ones count nowhere."""

    total: int
    by_role: Annotated[dict[str, dict[str, int]], Field(description="`active` and `inactive` users by role")]
    by_activity: dict[str, int]
    never_logged_in: Annotated[int, Field(description="active or not, since they were registered")]
    logins: Logins


def get_users_stats(request: Request) -> Answer[UsersStats]:  # noqa: ARG001 - the same for every admin
    """Users by role and activity, who never logged in, and how often people did."""
    (users, logged_in), days = counts.users(), counts.last_days(DAYS)
    total = sum(count.n for count in users)
    logins = counts.logins(days[0], days[-1])
    return Answer(
        {
            "total": total,
            "by_role": {
                role: summed(((c.activity, c.n) for c in users if c.role == role), ("active", "inactive"))
                for role in Role
            },
            "by_activity": summed(((count.activity, count.n) for count in users), ("active", "inactive")),
            "never_logged_in": total - logged_in,
            "logins": {"total": sum(logins.values()), "by_day": summed(logins.items(), days)},
        }
    )
