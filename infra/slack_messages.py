"""Slack messages: what is told of alerts and tasks, written as Block Kit by Jinja2 templates, one for each source.

What AWS sends may hold anything, and some of it is written by strangers (a log line, the name of a bucket). It is
shown, and can do nothing else:

* Everything a template prints goes through `json_text`, the environment's `finalize`: escaped for Slack, then for JSON.
  There is no way around it in a template, and what is escaped twice by mistake is ugly, not dangerous.
* Markup is made by the filters `date` and `aws_link` alone, from an int and from the address of an AWS page.
* Values stand in `plain_text` objects, where Slack reads no formatting: `*`, `_` and back-ticks are characters.
  Only our own labels, dates and links are `mrkdwn`, and these are `verbatim`, so that Slack turns no name into a link.
* In a line, what we say stands before what others say: marks that turn the direction of writing turn nothing of ours.

Slack's limits are from its reference (https://docs.slack.dev/reference/block-kit/): header block 150 characters; text
object 3,000; section block 10 fields of 2,000; context block 10 elements; 50 blocks a message; `text` of a message
4,000. There is one more that it does not tell: all blocks together (slackapi/bolt-js, issues 2509 and 2867: refused
from 11,341 characters on). `MOST_TEXT` stays below.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.told import AlertTold, TaskTold
from infra import slack_groups, slack_text, slack_words
from infra.slack_words import SEVERITIES

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "slack"
"""Found from this file and not from the working directory, which is Lambda's own."""

SOURCES = frozenset({
    "aws.access-analyzer",
    "aws.backup",
    "aws.ce",
    "aws.cloudformation",
    "aws.cloudwatch",
    "aws.config",
    "aws.ec2",
    "aws.ecs",
    "aws.guardduty",
    "aws.health",
    "aws.rds",
    "aws.securityhub",
    "aws.trustedadvisor",
    "monitoring.agent",
})  # fmt: skip
"""Those with a template of their own. A source is never made into a file name without being looked up here."""

MOST_TEXT = 10_000
"""Characters of all text objects of a message together."""


class RenderError(Exception):
    """A template failed. The message names it; the cause is chained."""


def render_alert(told: AlertTold) -> dict[str, Any]:
    """The message about an alert, as Slack's incoming webhooks take it.

    Returns:
        `text`, what a notification shows; `blocks`; and `attachments`, one, which is there for its colour and holds
        only the context line, since Slack may fold attachments away.

    Raises:
        RenderError: the template is missing, broken, uses a name it is not given, or does not write JSON.
    """
    source = told.event.source
    return rendered(
        f"{source if source in SOURCES else 'generic'}.json.j2",
        told=told,
        event=told.event,
        happened=slack_words.happened(told),
        resolved_by=slack_words.resolved_by(told),
        history=slack_words.history(told),
        account=slack_words.account(told),
        severity=SEVERITIES[told.severity],
        mark=slack_words.mark(told),
    )


def render_task(told: TaskTold) -> dict[str, Any]:
    """The message about a task, likewise."""
    return rendered("task.json.j2", told=told, happened=slack_words.happened(told), mark=slack_words.mark(told))


def render_group(members: Sequence[AlertTold | TaskTold]) -> dict[str, Any]:
    """One message about several: the gravest first, as many as Slack takes, and how many more there are.

    Raises:
        RenderError: as `render_alert`.
        ValueError: there are no members.
    """
    if not members:
        raise ValueError("a group has at least one member")
    if len(members) == 1:
        (only,) = members
        return render_alert(only) if isinstance(only, AlertTold) else render_task(only)
    first = slack_groups.gravest_first(members)
    listed = slack_groups.listed(first)
    return rendered(
        "group.json.j2",
        lines=listed,
        count=len(members),
        more=len(members) - len(listed),
        summary=slack_groups.summary(members),
        mark=slack_words.mark(first[0]),
    )


def rendered(template: str, **names: object) -> dict[str, Any]:
    """The message that a template writes, shortened if all its text together is more than Slack takes.

    Args:
        template: of a file in `templates/slack`.
        names: what the template may use.

    Raises:
        RenderError: as `render_alert`.
    """
    try:
        message: dict[str, Any] = json.loads(_environment().get_template(template).render(**names))
        _shorten(message)
    except Exception as error:
        raise RenderError(f"templates/slack/{template}: {type(error).__name__}: {error}") from error
    return message


def say_late(message: dict[str, Any], since: int, timezone: str) -> None:
    """Have a message say, below its headline, that it comes late.

    Args:
        since: when it was to be told, in seconds since the epoch.
        timezone: of the IANA database, for what is shown where Slack cannot show the reader's own.
    """
    words = {"type": "plain_text", "emoji": False, "text": "Told late: this was to be told on"}
    date = {"type": "mrkdwn", "verbatim": True, "text": slack_text.date(since, timezone)}
    message["blocks"].insert(1, {"type": "context", "elements": [words, date]})
    _shorten(message)


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """All blocks of a message: its own, then those of its attachments."""
    return [*message["blocks"], *(block for one in message.get("attachments", ()) for block in one["blocks"])]


def text_objects(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All text objects of a message's blocks."""
    for block in blocks(message):
        yield from block.get("fields", ())
        yield from block.get("elements", ())
        if "text" in block:
            yield block["text"]


@cache
def _environment() -> "Environment":
    # Not at the module's import: functions that never write a message share this artifact, and jinja2 takes 0.1 s.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # this is JSON for Slack and no HTML: `finalize` escapes
        finalize=slack_text.json_text,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "aws_link": slack_text.aws_link,
        "beyond": slack_text.beyond,
        "cut": slack_text.cut,
        "date": slack_text.date,
        "lost": slack_text.lost,
        "one_line": slack_text.one_line,
    }
    environment.tests |= {
        "aws_page": slack_text.is_aws_page,
        "markup": slack_text.is_markup,
        "said_in": slack_text.is_said_in,
        "shown": slack_text.is_shown,
    }
    return environment


def _shorten(message: dict[str, Any]) -> None:
    """Cut the longest texts, all to the same length, until all together are short enough."""
    texts = list(text_objects(message))
    limit = 3_000
    while limit > 100 and sum(slack_text.length(text["text"]) for text in texts) > MOST_TEXT:
        limit = limit * 4 // 5
        for text in texts:
            if text["type"] == "plain_text":
                text["text"] = slack_text.cut(slack_text.Escaped(text["text"]), limit)
