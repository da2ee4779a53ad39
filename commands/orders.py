"""Orders from requests: who, when and why, with the client's key and the versions that it expects."""

import uuid

from commands.execution import Order, new_id, now
from infra.request import Request

# Names made from an Idempotency-Key: a repeat meets the aggregate that the first sending made.
_NAMESPACE = uuid.UUID("8d1c8f2c-6e0f-4a54-b1f4-0a54f3f7c0de")


def order_of(request: Request, secret: bytes | None = None) -> Order:
    """The order that a request gives, at this moment.

    Args:
        secret: keys the digest of the request; see `Request.command_key`.

    Raises:
        InvalidError: its `Idempotency-Key` is none.
        BadRequestError: its `If-Match` is none.
    """
    return Order(
        by=request.caller.user_id,
        at=now(),
        correlation_id=request.correlation_id,
        causation_id=f"api:{request.correlation_id}",
        command=request.command_key(secret),
        expected_versions=request.expected_versions,
    )


def id_for(order: Order) -> str:
    """The id of what an order creates: a new one, or the one that its key stands for."""
    return str(uuid.uuid5(_NAMESPACE, order.command.key)) if order.command else new_id()
