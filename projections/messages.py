"""The messages of notifications, by what their rows tell."""

import json
from collections.abc import Sequence

from pydantic import TypeAdapter

from domain.notifications import Told
from domain.told import AlertTold
from infra.outbox import Notification
from projections import report_notices

_TOLD: TypeAdapter[Told] = TypeAdapter(Told)


class NothingToTellError(Exception):
    """A row that tells nothing, or nothing that this code can read."""


def told_of(row: Notification) -> Told:
    """What a row tells.

    Raises:
        NothingToTellError: it has nothing to tell, or nothing that this code can read.
    """
    try:
        return _TOLD.validate_json(row.told or "")
    except ValueError:
        # Without the error, which holds what people wrote: this is logged.
        raise NothingToTellError(f"{row.id} tells nothing that can be read") from None


def message(row: Notification, members: Sequence[Notification]) -> str:
    """The rendered Slack message of a row, as JSON.

    Args:
        members: those that are told with it. One that cannot be read is left out.

    Raises:
        NothingToTellError: see `told_of`.
        RenderError: a template failed.
    """
    from infra import slack_messages  # noqa: PLC0415 - its templates are loaded by those who render only

    if report_notices.is_report(row.stream):
        return json.dumps(report_notices.message(row.told or ""))
    told = told_of(row)
    if members:
        return json.dumps(slack_messages.render_group([told, *_readable(members)]))
    render = slack_messages.render_alert(told) if isinstance(told, AlertTold) else slack_messages.render_task(told)
    return json.dumps(render)


def _readable(members: Sequence[Notification]) -> list[Told]:
    found = []
    for member in members:
        try:
            found.append(told_of(member))
        except NothingToTellError:
            continue
    return found
