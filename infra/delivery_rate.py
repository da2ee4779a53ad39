"""How many messages a channel has had in a minute, over all senders. Counters stand in the outbox table and expire."""

import os

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from infra.pynamodb_session import Model
from infra.settings import MAX_PUT_OFF_MINUTES

_KEPT_SECONDS = 3_600


class RateCounter(Model):
    """The messages to a channel that wanted to go out in a minute."""

    class Meta:
        table_name = os.environ.get("OUTBOX_TABLE", "outbox")
        connect_timeout_seconds = 2
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute(default=0)
    ttl = NumberAttribute(null=True)


def wait_for_turn(channel: str, per_minute: int, now: int) -> int | None:
    """When a message may go out, in seconds since the epoch; None if it may at once.

    Those that are too many are counted too, which spreads them over the minutes that follow. A write unit.
    """
    minute = now // 60
    counter = RateCounter(f"rate#{channel}#{minute}", "count")
    counter.update(actions=[RateCounter.n.add(1), RateCounter.ttl.set(now + _KEPT_SECONDS)])
    too_many = int(counter.n) - per_minute
    if too_many <= 0:
        return None
    return (minute + min(1 + (too_many - 1) // per_minute, MAX_PUT_OFF_MINUTES)) * 60
