"""What all reactions have in common: on whose behalf they act, what caused them, which faults hold up the stream."""

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from commands.execution import Order, now
from domain.commit import CommandKey, Commit
from infra.event_store import ConflictError

ACTOR = "system:reactions"

logger = Logger()


def order_because_of(cause: Commit, detail: str = "") -> Order:
    """The order to react to a commit. A stream carries it out once, by the commit's id.

    Args:
        detail: which part of the commit it is, if that matters.
    """
    return Order(
        by=ACTOR,
        at=now(),
        correlation_id=cause.correlation_id,
        causation_id=f"event:{cause.id}",
        command=CommandKey(f"{ACTOR} {cause.id}", detail),
    )


@contextmanager
def holding_up_nobody(failure: str, **about: object) -> Iterator[None]:
    """Log what cannot be done, for one thing that is broken must not hold up the others, nor the shard.

    Raises:
        Exception: a fault of the infrastructure, so that the batch is delivered again.
    """
    try:
        yield
    except (BotoCoreError, ClientError, ConflictError):
        raise
    except Exception:
        logger.exception(failure, extra=about)
