"""Every setting of the deployed functions, read from the environment that the template gives them.

A function that asks for a setting it was not given fails at once and names it: least privilege begins with not
knowing the name of a table.
"""

import os
from datetime import timedelta


class MissingSettingError(RuntimeError):
    """A function was deployed without a setting that it needs."""


def setting(name: str) -> str:
    """The value of an environment variable. Raises MissingSettingError when it is not set."""
    try:
        return os.environ[name]
    except KeyError:
        raise MissingSettingError(f"the environment variable {name} is not set; the template should set it") from None


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
"""Short: the longer, the longer a token that leaks is good, unless its session is ended."""

MAX_ACCESS_TOKEN_LIFETIME = timedelta(minutes=60)
"""The template allows no more. What ends tokens before their time is kept that long."""

PASSWORD_ROUNDS = 12
"""bcrypt's cost: 2^12 rounds, about 0.2 s on one core (OWASP asks for 10 or more)."""

STOPS_CACHE_SECONDS = 20.0
STOPS_CACHED = 1_000
"""How long, and of how many sessions, a process keeps that nothing ends their access tokens. With it a token is taken
that much longer than it should be; without it every request would cost a call and two read units more."""

ACCOUNT_LOGINS_AT_ONCE = 5
ACCOUNT_LOGIN_SECONDS = 20
"""Logins to one account that may fail in a row, and the time in which one more becomes possible."""

ADDRESS_LOGINS_AT_ONCE = 20
ADDRESS_LOGIN_SECONDS = 3
"""The same for one source address, which may be that of a whole office."""

SECRET_CACHE_SECONDS = 60.0
"""How long a secret read from Secrets Manager is used before it is read again. A read costs $0.05 per 10,000."""

UNKNOWN_KEY_SECONDS = 10.0
"""How old the token keys may be that refuse a token: its key may be newer. Forgers cause no more reads than this; for
so long after a rotation a good token may be refused."""

MAX_APPEND_ATTEMPTS = 8
"""How often a command is decided anew after a conflict, before the client is told to try again itself."""

RETRY_BASE_SECONDS = 0.01
RETRY_CAP_SECONDS = 0.5
"""Waiting between such attempts: random up to base x 2^attempt, at most the cap ("full jitter")."""

IDEMPOTENCY_KEY_LENGTH = 200
"""Characters of an `Idempotency-Key` that are accepted."""

MAX_BODY_BYTES = 128 * 1024
"""Bytes of a request's body. The largest thing the API takes, a monitoring config, has a third of it."""

MAX_ID_LENGTH = 160
"""Characters of an id in a path. Ours are shorter: that of a notification, with its channel's name, has 120 at most.
DynamoDB refuses keys over 2,048 bytes with an error of its own."""

DEFAULT_PAGE = 50
MAX_PAGE = 200
"""Items of a list's page."""

MAX_PAGE_BYTES = 4_000_000
"""A page ends early at this size: a Lambda answer may have 6 MB."""

MAX_PAGE_ROWS = 2_000
"""Rows that a page of a list may read in search of those that its filters take; then it ends early and says so."""

READ_YOUR_WRITE_SECONDS = 2.0
"""How long a read waits for the version that it was asked for. The views follow within half a second as a rule."""

LEASE_SECONDS = 60
"""How long a sender holds a notification: longer than its function's time-out, so that only a dead one loses it."""

LOG_QUERY_SECONDS = 45
"""How long a query of logs may take before it is stopped and comes again, if need be for less time."""

LOG_QUERY_LEASE_SECONDS = 180
"""How long a run has a log group to itself: longer than its function's time-out, so that only a dead one loses it."""

LOG_QUERIES_AT_ONCE = 5
"""Queries at the same time. An account may have 30, and people want some of these for themselves."""

SLACK_TIMEOUT_SECONDS = 10.0

MAX_WAIT_SECONDS = 43_000
"""The longest wait that is granted: SQS hides a message for 12 hours at most, counted from its receipt."""

LOST_DELIVERY_SECONDS = 120
"""After this time a notification that is on its way is handed to the delivery queue again: it may never have got there.
In vain, it costs one delivery that finds it sent."""

QUEUED_AGAIN_SECONDS = 900
"""How long it is left alone then. The queue may only be long, and must not grow by what it holds already."""

SWEEP_ROWS = 200
"""Notifications that the sweeper looks at at once, a quarter of them from each partition."""

SWEEP_SECONDS = 40
"""How long a run of the sweeper goes on with the next ones; there is one every minute, and it may take one at most."""

SWEEP_GROUPED = 2_000
GROUPING_SECONDS = 10
"""Rows of groups that the sweeper gathers before it lets them go, and how long that may take after the rest."""

MAX_GROUP = 100
"""Notifications in one message, at most: they are marked in one transaction, which takes 100 items. What is beyond
makes another message."""

MAX_PUT_OFF_MINUTES = 60
"""However many messages wait for a channel, one is looked at again after this time: nobody may want it any more."""

LATE_SECONDS = 300
"""A message that is sent so long after its time says so."""

MAX_DELIVERY_ATTEMPTS = 33
"""With the waits below they take three to six hours: so long Slack may be out of order. The last attempt comes before
the queue moves the delivery to its dead-letter queue; see `maxReceiveCount`."""

DELIVERY_BACKOFF_BASE_SECONDS = 2
DELIVERY_BACKOFF_CAP_SECONDS = 900
"""A refused delivery comes back after a random time around base x 2^attempt."""

PAUSE_SECONDS = 10
"""A channel is paused when what it refused waits so long or longer. A short refusal holds up no other message."""

SNAPSHOT_COMMITS = 25
SNAPSHOT_BYTES = 32_768
"""A commit carries a snapshot when the last one is this many commits, or bytes of events, ago. At 25 commits of 300
bytes a load reads two units; a snapshot of a small state fits into its commit's write unit."""

MAX_SNAPSHOT_BYTES = 100_000
"""A larger state is not worth its write units; its stream is folded from the events."""

COMMANDS_KEPT = 100
COMMANDS_KEPT_FOR = 86_400
"""A stream remembers its last named commands, and those of the last so many seconds: of these a repeat is known."""

GARBAGE_THRESHOLD = 200_000
"""New objects (less those freed) after which Python looks for cycles among them; 2,000 by default. What a function
imports is 70,000 objects that stay: looking through them again and again takes a tenth of a cold start."""

WARM_STREAMS = 256
"""Streams whose histories a process keeps, so that a change takes one round trip instead of two."""

DATA_KEY_CACHE_SECONDS = 60.0
DATA_KEYS_KEPT = 1_000
"""How long, and how many, keys of people a process keeps. A deleted key opens nothing any more after this time."""

CONFIG_CACHE_SECONDS = 15.0
"""How long a function uses the monitoring config that it read: so long after a change the old one may still decide."""

GENERATIONS_CACHE_SECONDS = 1.0
"""How long a process keeps which generation of the views is live. A rebuild waits for longer than that."""

HEARTBEAT_SECONDS = 60
HEARTBEAT_EXPIRES_SECONDS = 86_400
"""How often a heartbeat is appended, and how long it stays."""

MAX_LAG_SECONDS = 120
"""How far behind a consumer of the streams may be until the read side counts as degraded, and an alarm goes off: one
heartbeat that is late or lost is nothing yet."""

REPORT_SETTLE_SECONDS = 60
"""How long after the end of a daily report's time a heartbeat must have been sent that the projector has heard, before
the report is made. A commit may be appended moments after the time that it carries, and the streams keep no order."""
