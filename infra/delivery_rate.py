"""When a channel takes a message: so many a minute, over all senders. The first that ask go first.

Each minute has `per_minute` places, numbered on from those of the minute before. A counter in the outbox table tells
how many of a channel's are given away, also of minutes to come. It expires.
"""

import os

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from infra.pynamodb_session import Model

_KEPT_SECONDS = 86_400


class RateCounter(Model):
    """The places of a channel that are given away: `n` is the number of the last one."""

    class Meta:
        table_name = os.environ.get("OUTBOX_TABLE", "outbox")
        connect_timeout_seconds = 2
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute(default=0)
    ttl = NumberAttribute(null=True)


def turn(channel: str, per_minute: int, now: int) -> int:
    """Take the next place. Returns when it is, in seconds since the epoch: now, or the beginning of a later minute.

    A write unit for the first message of a minute, two for the others.
    """
    minute = now // 60
    first = minute * per_minute
    counter = RateCounter(f"rate#{channel}#{per_minute}", "count")
    kept = RateCounter.ttl.set(now + _KEPT_SECONDS)
    try:  # those of the minutes before are past
        counter.update(
            actions=[RateCounter.n.set(first + 1), kept],
            condition=RateCounter.n.does_not_exist() | (RateCounter.n <= first),
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        counter.update(actions=[RateCounter.n.add(1), kept])
    given = (int(counter.n) - 1) // per_minute
    return now if given <= minute else given * 60
