"""When a channel takes a message: so many a minute, over all senders. The first that ask go first.

Each minute has `per_minute` places, numbered on from those of the minute before. A counter in the outbox table tells
how many of a channel's are given away, also of minutes to come. It expires.

While a channel is paused, nobody gets its places. The message that it refused has the end of the pause for its place,
and tries the channel before all others: they get places of the first minute in which it is known what came of that.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from infra.pynamodb_session import Model
from infra.settings import SLACK_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

_KEPT_SECONDS = 86_400

_GOOD_SECONDS = 120
"""A place is good in its minute and the next: the sweeper, which brings what has one, may come at a minute's end."""


class RateCounter(Model):
    """The places of a channel that are given away: `n` is the number of the last one.

    Attributes:
        paused_until: when the message that the channel refused last is sent again, in seconds since the epoch.
    """

    class Meta:
        table_name = os.environ.get("OUTBOX_TABLE", "outbox")
        connect_timeout_seconds = 2
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    n = NumberAttribute(default=0)
    paused_until = NumberAttribute(null=True)
    ttl = NumberAttribute(null=True)


class Turn(NamedTuple):
    """A place.

    Attributes:
        at: when it is, in seconds since the epoch: now, or the beginning of a later minute.
        paused: seconds of the time until then in which the channel is paused.
    """

    at: int
    paused: int


def turn(channel: str, per_minute: int, now: int, kept: int = 0) -> Turn:
    """The place that was kept for a message, or the next one, which is taken.

    A write unit for the first message of a minute, two for the others; for a kept place a read unit before.

    Args:
        kept: when that place is; 0 if there is none.
    """
    if kept > now:
        return Turn(kept, paused=0)
    minute = now // 60
    first = minute * per_minute
    counter = RateCounter(f"rate#{channel}#{per_minute}", "count")
    if kept and _is_good(counter, kept, now):
        return Turn(now, paused=0)
    expires = RateCounter.ttl.set(now + _KEPT_SECONDS)
    past = RateCounter.n.does_not_exist() | (RateCounter.n <= first)  # they are of the minutes before
    if not _updated(counter, [RateCounter.n.set(first + 1), expires], past):
        counter.update(actions=[RateCounter.n.add(1), expires])
    given = (int(counter.n) - 1) // per_minute
    return Turn(now if given <= minute else given * 60, paused=max(0, _opens(counter) - now))


def pause(channel: str, per_minute: int, until: int) -> None:
    """Let nobody have a place before a time, but who has that time for its place. A pause that ends later stays.

    Two write units.

    Args:
        until: in seconds since the epoch.
    """
    counter = RateCounter(f"rate#{channel}#{per_minute}", "count")
    expires = RateCounter.ttl.set(until + _KEPT_SECONDS)
    for attribute, least in (
        (RateCounter.n, _after(until) // 60 * per_minute),
        (RateCounter.paused_until, until),
    ):
        _updated(counter, [attribute.set(least), expires], attribute.does_not_exist() | (attribute < least))


def _is_good(counter: RateCounter, kept: int, now: int) -> bool:
    """Whether a place may be used. Places of many minutes make no rate, and a pause takes those that were given."""
    if now - kept >= _GOOD_SECONDS:
        return False
    with suppress(RateCounter.DoesNotExist):  # it has expired
        counter.refresh(consistent_read=True)
    return kept == counter.paused_until or kept >= _opens(counter)


def _opens(counter: RateCounter) -> int:
    """When the first place after the last pause is; 0 if there was none."""
    return _after(int(counter.paused_until)) if counter.paused_until else 0


def _after(paused_until: int) -> int:
    """The first minute in which what is sent at the end of a pause has arrived, or has begun another pause."""
    return (paused_until + int(SLACK_TIMEOUT_SECONDS)) // 60 * 60 + 60


def _updated(counter: RateCounter, actions: "Sequence[Action]", condition: "Condition") -> bool:
    """Whether the condition held."""
    try:
        counter.update(actions=list(actions), condition=condition)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True
