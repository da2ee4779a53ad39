"""The dashboard of users."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from domain.permissions import Role
from infra.rest import Answer, Request
from queries import dashboard_counts as counts
from queries.dashboard_counts import summed

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
    logins: Logins


def get_users_stats(request: Request) -> Answer[UsersStats]:  # noqa: ARG001 - the same for every admin
    """Users by role and activity, and how often people logged in."""
    users, days = counts.users(), counts.last_days(DAYS)
    logins = counts.logins(days[0], days[-1])
    return Answer(
        {
            "total": sum(count.n for count in users),
            "by_role": {
                role: summed(((c.activity, c.n) for c in users if c.role == role), ("active", "inactive"))
                for role in Role
            },
            "by_activity": summed(((count.activity, count.n) for count in users), ("active", "inactive")),
            "logins": {"total": sum(logins.values()), "by_day": summed(logins.items(), days)},
        }
    )
