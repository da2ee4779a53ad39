"""What a notification tells, as it is kept in the outbox, and its rendered message."""

import json

from domain.sources.mapping import MappedEvent
from domain.value import Value


class Facts(Value):
    """A monitoring event, as far as a message shows it."""

    event_id: str
    published_at: int
    event: MappedEvent


def message(facts: Facts) -> str:
    """The rendered Slack message, as JSON.

    Raises:
        RenderError: a template failed.
    """
    from infra.slack_messages import render  # noqa: PLC0415 - Jinja2 is loaded by those who render only

    return json.dumps(render(facts.event, event_id=facts.event_id, published_at=facts.published_at))
