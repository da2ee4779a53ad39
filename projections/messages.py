"""The messages of notifications, by what their rows tell."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from domain.notifications import Told
from domain.told import AlertTold
from infra.outbox import Notification
from infra.settings import LATE_SECONDS
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


def message(row: Notification, members: Sequence[Notification], now: int) -> str:
    """The rendered Slack message of a row, as JSON.

    Args:
        members: those that are told with it. One that cannot be read is left out.
        now: in seconds since the epoch; a message that comes late says so.

    Raises:
        NothingToTellError: see `told_of`.
        RenderError: a template failed.
    """
    from infra import slack_messages  # noqa: PLC0415 - its templates are loaded by those who render only

    rendered = _rendered(row, members)
    if row.wanted_at and now - row.wanted_at > LATE_SECONDS:
        slack_messages.say_late(rendered, int(row.wanted_at), json.loads(row.told or "{}").get("timezone", "UTC"))
    return json.dumps(rendered)


def _rendered(row: Notification, members: Sequence[Notification]) -> dict[str, Any]:
    from infra import slack_messages  # noqa: PLC0415 - as above

    if report_notices.is_report(row.stream):
        return report_notices.message(row.told or "")
    told = told_of(row)
    if members:
        return slack_messages.render_group([told, *_readable(members)])
    return slack_messages.render_alert(told) if isinstance(told, AlertTold) else slack_messages.render_task(told)


def _readable(members: Sequence[Notification]) -> list[Told]:
    found = []
    for member in members:
        try:
            found.append(told_of(member))
        except NothingToTellError:
            continue
    return found
