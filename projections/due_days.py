"""Days on which tasks were due, once they are past: their counters go when no task is due there any more.

What is overdue is summed over all past days, so a dashboard would read the zeros of years.
"""

from collections.abc import Iterable

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from domain.commit import Commit
from domain.heartbeats import CATEGORY
from infra.counters import TASKS_DUE_COUNTER, remove_spent
from infra.views import utc_day

logger = Logger()


def tidy(hints: Iterable[Commit]) -> None:
    """Once an hour, by the heartbeat of its first minute. One query, and a transaction for each counter that goes.

    What fails is left to the next hour: it is no reason to deal with the hints once more.
    """
    beats = (hint for hint in hints if hint.stream.startswith(f"{CATEGORY}#"))
    beat = next((beat for beat in beats if beat.at.minute == 0), None)
    if beat is None:
        return
    try:
        removed = remove_spent(TASKS_DUE_COUNTER, utc_day(int(beat.at.timestamp())))
    except (BotoCoreError, ClientError, PynamoDBException):
        logger.exception("past due days not tidied")
    else:
        logger.info("past due days tidied", extra={"counters": removed})
