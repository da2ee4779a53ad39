"""What messages say in words: what happened, how bad it is, how long it took, and where."""

from typing import NamedTuple

from domain.monitoring_rules import TaskChange
from domain.sources.mapping import State
from domain.tasks import Priority, Status
from domain.told import AlertNews, AlertTold, TaskTold
from infra.slack_text import is_shown


class Mark(NamedTuple):
    """How a severity looks. The word stands beside the colour, for those who cannot tell the colours apart."""

    word: str
    emoji: str
    colour: str


SEVERITIES = (
    Mark("info", "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}", "#8d99ae"),
    Mark("low", "\N{LARGE BLUE CIRCLE}", "#3a86ff"),
    Mark("medium", "\N{LARGE YELLOW CIRCLE}", "#f2c744"),
    Mark("high", "\N{LARGE ORANGE CIRCLE}", "#f77f00"),
    Mark("critical", "\N{LARGE RED CIRCLE}", "#d62828"),
    Mark("emergency", "\N{POLICE CARS REVOLVING LIGHT}", "#9d0208"),
)
"""By severity, 0 to 5."""

RESOLVED = Mark("resolved", "\N{WHITE HEAVY CHECK MARK}", "#2a9d5c")

_TASK_EMOJI = "\N{CLIPBOARD}"
_PRIORITIES = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3, Priority.CRITICAL: 4}
"""A task has the colour of the severity that its priority corresponds to."""

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def mark(told: AlertTold | TaskTold) -> Mark:
    """By its severity, unless it is over."""
    if isinstance(told, AlertTold):
        return RESOLVED if is_over(told) else SEVERITIES[told.severity]
    return Mark(told.priority.value, _TASK_EMOJI, (RESOLVED if is_over(told) else SEVERITIES[severity_of(told)]).colour)


def is_over(told: AlertTold | TaskTold) -> bool:
    """Whether there is nothing left to do."""
    if isinstance(told, AlertTold):
        return told.transition is AlertNews.RESOLVED
    return told.status is Status.CLOSED or told.change is TaskChange.DELETED


def severity_of(told: AlertTold | TaskTold) -> int:
    """From 0 to 5; of a task, what its priority corresponds to."""
    return told.severity if isinstance(told, AlertTold) else _PRIORITIES[told.priority]


def happened(told: AlertTold | TaskTold) -> str:
    """What happened, such as `Still open` or `Resolved after 14 min`."""
    return _alert_news(told) if isinstance(told, AlertTold) else _task_news(told)


def resolved_by(told: AlertTold) -> str:
    if told.resolved_by_person:
        return "a person"
    if told.event.state is State.OPEN:  # the problem is still there
        return "itself: it is less severe now than what is watched for"
    return "its source"


def history(told: AlertTold) -> str | None:
    """How often there was this problem before, if ever; what the headline does not say of that."""
    said = []
    if told.count > 1 and told.transition is not AlertNews.RECURRED:
        said.append(f"occurred {told.count} times")
    if told.openings > 1:
        said.append(f"opened {told.openings} times")
    return ", ".join(said) or None


def account(told: AlertTold) -> str | None:
    """The account's id, and what it is called."""
    return " · ".join(filter(is_shown, (told.event.account, told.account_name))) or None


def lasted(seconds: int) -> str:
    """A duration in its two largest units, such as `14 min` or `2 h 5 min`."""
    parts = []
    rest = max(seconds, 0)
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}s" if unit == "day" and count > 1 else f"{count} {unit}")
        if len(parts) == 2 or (parts and unit == "min"):
            break
    return " ".join(parts) or "0 s"


def _alert_news(told: AlertTold) -> str:
    match told.transition:
        case AlertNews.OPENED:
            return "Opened again" if told.openings > 1 else "Opened"
        case AlertNews.RECURRED:
            return f"Recurred \N{MULTIPLICATION SIGN}{told.count:,}"
        case AlertNews.SEVERITY_RAISED:
            words = [SEVERITIES[one].word for one in (told.previous_severity, told.severity) if one is not None]
            return f"Severity raised: {' → '.join(words)}"
        case AlertNews.RESOLVED:
            after = "" if told.resolved_at is None else f" after {lasted(told.resolved_at - told.opened_at)}"
            return f"Resolved{after}"
        case AlertNews.STILL_OPEN:
            return "Still open"


def _task_news(told: TaskTold) -> str:
    match told.change:
        case TaskChange.CREATED:
            return "New task"
        case TaskChange.CHANGED:
            return "Task changed"
        case TaskChange.STATUS_CHANGED:
            return f"Task {told.status.value.replace('_', ' ')}"
        case TaskChange.ASSIGNED:
            return "Task assigned"
        case TaskChange.COMMENTED:
            return "Comment on a task"
        case TaskChange.DELETED:
            return "Task deleted"
