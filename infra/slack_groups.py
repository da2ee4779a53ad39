"""What a message about several alerts and tasks says of each: a line, where it is, and a link."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from domain.told import AlertNews, AlertTold, TaskTold
from infra import slack_text, slack_words
from infra.slack_text import Escaped, Markup

MOST = 40
"""Members that are listed one by one. Each takes one of Slack's 50 blocks."""

_ROOM = 9_000
"""Characters of all of them together."""

_LINE, _LINK = 300, 600
"""Characters of a line, and of a link; a longer link is left out."""


class Line(NamedTuple):
    text: Escaped | None
    where: Escaped | None
    link: Markup | None


def gravest_first(members: Sequence[AlertTold | TaskTold]) -> list[AlertTold | TaskTold]:
    """Those that are over last. Of two that are as grave, the one that was given first."""
    return sorted(members, key=lambda told: (slack_words.is_over(told), -slack_words.severity_of(told)))


def listed(members: Sequence[AlertTold | TaskTold]) -> list[Line]:
    """The first members, as many as Slack takes."""
    lines: list[Line] = []
    room = _ROOM
    for told in members[:MOST]:
        line = _line(told)
        room -= sum(slack_text.length(part) for part in line if part)
        if room < 0:
            break
        lines.append(line)
    return lines


def summary(members: Sequence[AlertTold | TaskTold]) -> str:
    """Such as `3 opened, 1 resolved, 2 tasks`."""
    news = Counter(told.transition for told in members if isinstance(told, AlertTold))
    said = [f"{news[one]} {one.value.replace('_', ' ')}" for one in AlertNews if news[one]]
    tasks = len(members) - news.total()
    return ", ".join([*said, f"{tasks} {'task' if tasks == 1 else 'tasks'}"] if tasks else said)


def _line(told: AlertTold | TaskTold) -> Line:
    said = f"{slack_words.mark(told).emoji} {slack_words.happened(told)}"
    if isinstance(told, TaskTold):
        return Line(_cut(f"{said} ({told.priority.value}): {told.title}"), _cut(told.account_name), None)
    event, severity = told.event, slack_words.SEVERITIES[told.severity].word
    title = event.title if slack_text.is_shown(event.title) else event.detail_type
    where = filter(slack_text.is_shown, (slack_words.account(told), event.region))
    line = Line(_cut(f"{said} ({severity}): {title}"), _cut(" · ".join(where)), None)
    link = slack_text.aws_link(event.console_url) if slack_text.is_aws_page(event.console_url) else None
    return line._replace(link=link) if link and slack_text.length(link) <= _LINK else line


def _cut(text: str | None) -> Escaped | None:
    return slack_text.cut(slack_text.one_line(text), _LINE) if slack_text.is_shown(text) else None
