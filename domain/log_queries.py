"""Searching logs for errors: which stretch of time comes next, and what is told of the lines found in it.

Each log group of each account has a mark: up to where it was searched. Marks move by windows, each from where the last
one ended, so that every second is searched once. A window is pinned before the first of its findings is published:
from then on it is done again exactly as it was until it is through, and its findings have the same ids each time.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from domain.sources.fingerprint import digest
from domain.sources.monitoring_agent import normalised
from domain.value import Value

MAX_WINDOW_SECONDS = 3_600
"""After an outage, time is caught up with in steps of at most an hour."""

MIN_WINDOW_SECONDS = 10
"""However often a search fails, it is not for the length of so short a window."""

FORGOTTEN_SECONDS = 86_400
"""What nobody tried to search for a day was switched off: it begins anew. Failed searches count as tried."""

RETRY_BASE_SECONDS = 30
RETRY_CAP_SECONDS = 900
"""A failed search comes again after base x 2^(failures - 1) seconds, at most the cap."""

MESSAGE_CHARACTERS = 4_000
"""Characters of a line that are told: with a stack trace, and so that ten findings fit into one call to EventBridge."""

_NAMESPACE = uuid.UUID("c59d1f0a-7f0e-4b0b-8a6c-0d2f4f1f5e57")


class Window(NamedTuple):
    """A stretch of time, in seconds since the epoch, from `start` to just before `end`."""

    start: int
    end: int


class Target(NamedTuple):
    """A log group, where it is."""

    account: str
    region: str
    log_group: str

    @property
    def id(self) -> str:
        """Safe in a key, whatever the log group is called."""
        return str(uuid.uuid5(_NAMESPACE, "\n".join(self)))


class Mark(Value):
    """How far a log group was searched. Times are seconds since the epoch.

    Attributes:
        version: counts its changes.
        owner: of the last change; tells a run's own change, whose answer was lost, from that of another run.
        until: every second before it was searched, and no later one.
        owed_until: the end of the last window that was begun; what is left of it is due at once.
        pinned_until: the end of the window whose findings are being published; None while none is.
        due_at: nobody searches before it: another run is at work, or the last one failed.
        tried_at: when a search was last begun.
        attempts: searches begun since the last one that came to its end.
        longest: seconds that the next window may have.
        trying: seconds of the window that is being searched; 0 while none is. A run that died leaves it.
    """

    version: int
    owner: str
    until: int
    owed_until: int
    pinned_until: int | None = None
    due_at: int
    tried_at: int
    attempts: int
    longest: int = MAX_WINDOW_SECONDS
    trying: int = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last search came to no end, not counting one that is under way."""
        return self.attempts > (1 if self.trying else 0)


class Line(NamedTuple):
    """A line of a log; `at` in milliseconds since the epoch."""

    at: int
    stream: str
    message: str


# ---- windows


def next_window(mark: Mark | None, at: int, interval: int, delay: int) -> Window | None:
    """What is to be searched now; None if nothing is.

    Args:
        at: the present, in seconds since the epoch.
        interval: seconds between two searches.
        delay: seconds after which a line can be relied on to be found.
    """
    end = at - delay
    if mark is None:
        return Window(end - interval, end)
    if at < mark.due_at:
        return None
    if mark.pinned_until is not None:
        return Window(mark.until, mark.pinned_until)
    if at - mark.tried_at > FORGOTTEN_SECONDS and mark.until < end - interval:
        return Window(end - interval, end)
    if end - mark.until < interval:
        end = min(end, mark.owed_until)
    if end <= mark.until:
        return None
    return Window(mark.until, min(end, mark.until + _longest(mark)))


def halved(window: Window) -> Window | None:
    """The first half of a window; None of a window that is only a second long."""
    half = (window.end - window.start) // 2
    return Window(window.start, window.start + half) if half else None


def _longest(mark: Mark) -> int:
    # A run that died cannot tell why: the window may have been too much for the function that reads it.
    return _shorter(mark.trying) if mark.trying else mark.longest


def _shorter(seconds: int) -> int:
    return max(seconds // 2, MIN_WINDOW_SECONDS)


def _longer(seconds: int) -> int:
    # By a quarter, not twofold: where a search can do little more than this, only every fourth one fails.
    return min(seconds * 5 // 4, MAX_WINDOW_SECONDS)


# ---- what becomes of a mark; each is saved only if nobody changed it meanwhile


def claimed(mark: Mark | None, window: Window, owner: str, at: int, lease: int) -> Mark:
    """A run begins to search a window, and has it to itself for `lease` seconds."""
    return Mark(
        version=mark.version + 1 if mark else 1,
        owner=owner,
        until=window.start,
        owed_until=max(window.end, mark.owed_until if mark else 0),
        pinned_until=mark.pinned_until if mark else None,
        due_at=at + lease,
        tried_at=at,
        attempts=mark.attempts + 1 if mark else 1,
        longest=_longest(mark) if mark else MAX_WINDOW_SECONDS,
        trying=window.end - window.start,
    )


def pinned(mark: Mark, window: Window) -> Mark:
    """The findings of a window are about to be published."""
    return mark.model_copy(update={"version": mark.version + 1, "pinned_until": window.end})


def searched(mark: Mark, window: Window) -> Mark:
    """All of a window is published. One that was as long as it might be shows that the next may be longer."""
    longest = _longer(mark.longest) if window.end - window.start >= mark.longest else mark.longest
    done = {"until": window.end, "pinned_until": None, "due_at": 0, "attempts": 0, "longest": longest, "trying": 0}
    return mark.model_copy(update={"version": mark.version + 1, **done})


def failed(mark: Mark, at: int, *, too_long: bool) -> Mark:
    """The search failed, and what its window had is to be searched again.

    Args:
        too_long: it may have failed because the window was too long, so that the next one is half of it.
    """
    wait = min(RETRY_BASE_SECONDS * 2 ** min(mark.attempts - 1, 10), RETRY_CAP_SECONDS)
    longest = _shorter(mark.trying) if too_long else mark.longest
    return mark.model_copy(update={"version": mark.version + 1, "due_at": at + wait, "longest": longest, "trying": 0})


# ---- what is told

_LEVELS: Mapping[str, int | None] = {
    **dict.fromkeys(("trace", "debug", "info", "information", "informational", "notice")),
    **dict.fromkeys(("warn", "warning"), 2),
    **dict.fromkeys(("error", "err", "severe"), 3),
    **dict.fromkeys(("fatal", "critical", "crit", "panic", "alert"), 4),
    **dict.fromkeys(("emerg", "emergency"), 5),
}
"""Severities by level; None for what is no error, whatever else the line says."""

_FIELD = re.compile(r"\b(?:level|levelname|log_?level|severity)\"?\s*[:=]\s*\"?([a-z]+)", re.IGNORECASE)
_WORD = re.compile(rf"\b(?:{'|'.join(_LEVELS).upper()})\b")
_ERROR = 3


def severity(message: str) -> int | None:
    """How bad a line of a log is: by its field `level`, else by the first level in capitals; without one, an error.

    Returns:
        0 to 5; None for a line that says itself that it is no error.
    """
    field = _FIELD.search(message)
    if field and (level := field[1].lower()) in _LEVELS:
        return _LEVELS[level]
    word = _WORD.search(message)
    return _LEVELS[word[0].lower()] if word else _ERROR


def findings(target: Target, window: Window, lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The errors among the lines of a window, those of one shape as one, as `domain.sources.monitoring_agent` has them.

    Each tells its newest line and has the worst severity of all. The same window and shape give the same id.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in sorted(lines):
        level = severity(line.message)
        if level is None or not window.start * 1000 <= line.at < window.end * 1000:
            continue
        shape = digest(normalised(line.message))
        before = found.get(shape, {"count": 0, "severity": level})
        found[shape] = {
            "id": str(uuid.uuid5(_NAMESPACE, "\n".join((*target, f"{window.start}-{window.end}", shape)))),
            "account": target.account,
            "region": target.region,
            "log_group": target.log_group,
            "log_stream": line.stream,
            "service": target.log_group.rstrip("/").rpartition("/")[2],
            "message": _cut(line.message),
            "timestamp": line.at,
            "severity": max(level, before["severity"]),
            "count": before["count"] + 1,
        }
    return list(found.values())


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_CHARACTERS else f"{message[: MESSAGE_CHARACTERS - 1]}…"
