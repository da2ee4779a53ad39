"""The Slack message of a daily report: short lines, each a number and how it moved since the day before."""

from typing import Any

from domain.alerts import AlertState
from domain.reports import Compared, Figures, NoisyAlert
from domain.told import ReportTold
from infra.slack_messages import rendered
from infra.slack_text import one_line
from infra.slack_words import RESOLVED, SEVERITIES, Mark, lasted

SOURCES_SHOWN = 10


def render_report(told: ReportTold) -> dict[str, Any]:
    """The message about a daily report, as Slack's incoming webhooks take it; see `infra.slack_messages`.

    Raises:
        RenderError: the template is missing or broken.
    """
    figures = told.figures
    return rendered(
        "daily-report.json.j2",
        told=told,
        is_quiet=is_quiet(figures),
        summary=summary(figures),
        alerts=_alert_lines(figures),
        severities=_severity_lines(figures),
        sources=_source_lines(figures),
        noisiest=[_noisy_line(alert, told) for alert in figures.alerts.noisiest],
        looked_at=figures.alerts.looked_at,
        tasks=_task_lines(figures),
        mark=_mark(figures),
    )


def summary(figures: Figures) -> str:
    """One line, such as `12 events, 3 alerts opened, 4 still open`."""
    alerts = figures.alerts
    opened, still_open = alerts.opened.value or 0, alerts.still_open.value or 0
    events = figures.events.total.value or 0
    return f"{_plural(events, 'event')}, {_plural(opened, 'alert')} opened, {still_open:,} still open"


def is_quiet(figures: Figures) -> bool:
    """Whether nothing happened, and nothing is left to do."""
    alerts, tasks = figures.alerts, figures.tasks
    numbers = (
        *(figures.events.total, alerts.opened, alerts.acknowledged, alerts.resolved, alerts.still_open),
        *(tasks.opened, tasks.closed, tasks.overdue),
    )
    return not any(number.value for number in numbers)


def moved(number: Compared) -> str:
    """How it moved, such as ` (▲ 5)`, before anybody else's words; empty where there is nothing to compare."""
    return _moved(number, lambda by: f"{by:,}")


def moved_time(number: Compared) -> str:
    """Likewise, of seconds."""
    return _moved(number, lasted)


def _moved(number: Compared, words: Any) -> str:
    if number.value is None or number.before is None:
        return ""
    by = number.value - number.before
    return f" ({'▲' if by > 0 else '▼'} {words(abs(by))})" if by else " (as before)"


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word if n == 1 else f'{word}s'}"


def _counted(number: Compared, what: str) -> str:
    return f"{number.value or 0:,}{moved(number)} {what}"


def _alert_lines(figures: Figures) -> list[str]:
    alerts = figures.alerts
    lines = [
        _counted(alerts.opened, "opened"),
        _counted(alerts.acknowledged, "acknowledged"),
        _counted(alerts.resolved, "resolved"),
        _counted(alerts.still_open, "still open"),
    ]
    for number, what in (
        (alerts.seconds_to_acknowledge, "until acknowledged"),
        (alerts.seconds_to_resolve, "until resolved"),
    ):
        if number.value is not None:
            lines.append(f"{lasted(number.value)}{moved_time(number)} {what}, on average")
    return lines


def _severity_lines(figures: Figures) -> list[str]:
    found = sorted(figures.events.by_severity.items(), reverse=True)
    shown = [(SEVERITIES[int(name)], number) for name, number in found if number.value or number.before]
    return [f"{mark.emoji} {_counted(number, mark.word)}" for mark, number in shown]


def _source_lines(figures: Figures) -> list[str]:
    events = figures.events
    lines = [_counted(one.total, one_line(one.source)) for one in events.by_source[:SOURCES_SHOWN]]
    hidden = [one.total for one in events.by_source[SOURCES_SHOWN:]]
    hidden += [events.other_sources] if events.other_sources else []
    if hidden:
        more = Compared(value=sum(one.value or 0 for one in hidden), before=sum(one.before or 0 for one in hidden))
        lines.append(_counted(more, "from other sources"))
    return lines


def _noisy_line(alert: NoisyAlert, told: ReportTold) -> str:
    state = "resolved" if alert.state is AlertState.RESOLVED else "open"
    where = told.account_names.get(alert.account or "", alert.account or "")
    emoji = RESOLVED.emoji if alert.state is AlertState.RESOLVED else SEVERITIES[alert.severity].emoji
    known = ", ".join(part for part in (state, one_line(where)) if part)
    return f"{emoji} {_plural(alert.occurrences, 'time')} ({known}) {one_line(alert.title)}"


def _task_lines(figures: Figures) -> list[str]:
    tasks = figures.tasks
    return [_counted(tasks.opened, "opened"), _counted(tasks.closed, "closed"), _counted(tasks.overdue, "overdue")]


def _mark(figures: Figures) -> Mark:
    """As grave as the gravest event."""
    found = [int(severity) for severity, number in figures.events.by_severity.items() if number.value]
    return SEVERITIES[max(found)] if found else RESOLVED
