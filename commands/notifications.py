"""The notification routes of the write API. A notification is no part of the ledger: its row alone is changed."""

from aws_lambda_powertools import Logger

from domain.errors import NotFoundError, StateConflictError
from domain.notification_shape import NotificationShown, Status
from infra.rest import Answer, Request

logger = Logger()

_WHY_NOT = {
    Status.SUPPRESSED: "nobody was to be told",
    Status.HELD: "it waits until it is due",
    Status.GROUPED: "it is told in the message of another notification",
    Status.DECIDED: "it is on its way",
    Status.SENDING: "it is on its way",
    Status.SENT: "people were told",
}


def redrive_notification(request: Request, notification_id: str) -> Answer[NotificationShown]:
    """Send a notification that was given up, or whose channel had no webhook, once more. Its attempts begin anew."""
    from infra import outbox  # noqa: PLC0415 - PynamoDB is loaded by the one route that needs it
    from infra.delivery_queue import enqueue  # noqa: PLC0415

    try:
        parsed = outbox.NotificationId.parse(notification_id)
    except ValueError:
        parsed = None
    row = outbox.find(parsed) if parsed else None
    if row is None:
        raise NotFoundError("There is no such notification.")
    if row.is_undecided:
        remedy = "`opsledger notifications redrive` reads it again"
        raise StateConflictError(f"There is nothing to send: what happened could not be read; {remedy}.")
    command = request.command_key()
    if not outbox.redrive(row, command.key if command else None):
        reason = _WHY_NOT.get(Status(row.status), "it has changed just now; look at it again")
        raise StateConflictError(f"Only what was given up is sent again: {reason}.")
    if row.status == Status.DECIDED:  # should it not get there, the sweeper finds it
        enqueue([row.id])
    logger.info("redriven", extra={"notification": row.id, "by": request.caller.user_id})
    return Answer(outbox.shown(row))
