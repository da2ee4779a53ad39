"""Points in time as AWS writes them: RFC 3339 in most places, the date of an e-mail in AWS Health."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_LONGEST = 64
"""Characters. No timestamp is longer, and the parser of e-mail dates is not made for texts that are."""

# `fromisoformat` alone would also take week dates and bare days.
_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}")


def moment(text: str) -> datetime | None:
    """The point in time, in UTC, or None when the text is none. Without an offset it is UTC, as AWS means it.

    Takes `2026-03-03T17:06:13.757+0000`, `2026-02-25 20:40:06.721`, `Fri, 3 Jun 2022 05:01:10 GMT`.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    try:
        parsed = datetime.fromisoformat(text) if _RFC_3339.match(text) else parsedate_to_datetime(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


def ending(known: int | None, sent: datetime | None) -> int | None:
    """The order of an end that has no time of its own: when it was sent, and in any case after what it ends.

    An envelope's time is in whole seconds: it may be older than a state of that second.

    Args:
        known: the order of the last state, in ms since the epoch.
        sent: the envelope's time.
    """
    if sent is None:
        return None if known is None else known + 1
    return milliseconds(sent) if known is None else max(milliseconds(sent), known + 1)


def milliseconds(when: datetime) -> int:
    """Milliseconds since the epoch, exactly. `when` must be aware."""
    return (when - _EPOCH) // _MILLISECOND
