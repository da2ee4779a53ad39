"""The outbox of a stage, worked on in this process with the operator's credentials. See `ops.views_of_stage`."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from domain.notification_shape import NotificationShown, Status
from ops import functions, views_of_stage
from ops.aws import SessionConfig
from ops.errors import OpsError

if TYPE_CHECKING:
    from infra.outbox import Notification


class Redriven(NamedTuple):
    """A notification that was to be sent once more.

    Attributes:
        problem: why it is not done; None if it is.
        decided: of what could not be read before and is not on its way: what was decided now.
    """

    id: str
    problem: str | None = None
    decided: Status | None = None


def listed(config: SessionConfig, status: Status | None, limit: int) -> list[NotificationShown]:
    """The newest notifications, newest first; with a status, those that stand there.

    Raises:
        OpsError: the stage is not deployed.
    """
    views_of_stage.enter(config)
    from infra import outbox  # noqa: PLC0415 - reads the table's name when it is imported

    found = (row for row in _all() if status in (None, row.status))
    return [outbox.shown(row) for row in islice(found, limit)]


def standing(config: SessionConfig, statuses: Collection[Status]) -> list[str]:
    """The ids of all that have one of these statuses, the oldest first.

    Raises:
        OpsError: the stage is not deployed.
    """
    views_of_stage.enter(config)
    return [row.id for row in _all() if row.status in statuses][::-1]


def redrive(config: SessionConfig, ids: Iterable[str]) -> Iterator[Redriven]:
    """Send notifications once more that were given up, or whose channel had no webhook.

    What could not be read is decided now, with the code that is deployed, and sent if anybody is to be told.

    Raises:
        OpsError: the stage is not deployed.
    """
    views_of_stage.enter(config)
    from infra import delivery_queue, outbox  # noqa: PLC0415 - as above

    for one in ids:
        try:
            row = outbox.find(outbox.NotificationId.parse(one))
        except ValueError:
            row = None
        if row is None:
            yield Redriven(one, "there is no such notification")
        elif row.is_undecided:
            problem = _decide_again(config, row)
            yield Redriven(one, problem, None if problem else _not_on_its_way(row.key.commit_id))
        elif outbox.redrive(row):
            delivery_queue.enqueue([one])
            yield Redriven(one)
        else:
            yield Redriven(one, f"it was not given up: it is {row.status}")


def _decide_again(config: SessionConfig, row: "Notification") -> str | None:
    """Have the notifier decide on what it could not read. Returns why that is not done."""
    named = {"stream": row.stream, "commit": row.key.commit_id}
    try:
        error = functions.invoke(config, f"{config.stack_name}-notifier", {"redrive": named})
    except OpsError as failure:  # it must not hold up the others
        return str(failure)
    return f"what happened still cannot be read ({error})" if error else None


def _not_on_its_way(commit_id: str) -> Status | None:
    """Where the decisions on a commit stand of which none is on its way; None if one is, or was told."""
    from infra import outbox  # noqa: PLC0415 - as above

    standing = {row.status for row in outbox.decided(commit_id)}
    if standing - {Status.HELD, Status.SUPPRESSED}:
        return None
    return Status.HELD if Status.HELD in standing else Status.SUPPRESSED


def _all() -> "Iterator[Notification]":
    from infra import outbox_listing  # noqa: PLC0415 - as above
    from infra.settings import number  # noqa: PLC0415

    return outbox_listing.in_order(outbox_listing.months(number("EVENT_RETENTION_DAYS", 90)))
