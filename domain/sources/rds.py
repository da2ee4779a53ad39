"""RDS and Aurora: instances, clusters, snapshots, groups, proxies, blue/green deployments, shard groups, integrations.

Source: the RDS user guide, "Amazon RDS event categories and event messages". All eleven detail-types have one shape.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.sources import arn, console
from domain.sources.facts import Facts
from domain.sources.fingerprint import fingerprint
from domain.sources.mapping import State
from domain.sources.reading import UnreadableError, instant, optional, part, value

if TYPE_CHECKING:
    from domain.sources.envelope import Envelope

_CATEGORIES = {
    "failure": 3,
    "low storage": 3,
    "failover": 3,
    "availability": 2,
    "recovery": 2,
    "security": 2,
    "read replica": 2,
    "deletion": 2,
    "maintenance": 1,
    "notification": 1,
}
_OTHER_CATEGORY = 0

_OPENED_ALONE = 2
"""An event that no other ends opens a problem from this severity on: a person has to end it."""

# What begins and what ends one problem. The categories of a pair differ often, so the problem has a name of its own.
_PROBLEMS: Mapping[str, tuple[str, State]] = {
    f"RDS-EVENT-{number:04}": (problem, state)
    for problem, opening, resolving in (
        ("shutdown", (4,), (6,)),
        ("stopped", (87,), (88,)),
        ("cluster stopped", (150,), (151,)),
        ("failover", (13,), (15, 49, 65)),
        ("activation", (50,), (51,)),
        ("cluster failover", (69, 70, 72, 73), (71,)),
        ("recovery", (20,), (21,)),
        ("Multi-AZ recovery", (52,), (53,)),
        ("standby recovery", (361,), (362,)),
        ("replication", (45, 57, 62, 416), (46, 415)),
        ("replication channel", (358, 359), (357,)),
        ("storage", (7, 89, 221, 222), (17, 218)),
        ("encryption key", (418, 419), (420,)),
        ("support perimeter", (165,), (166,)),
    )
    for numbers, state in ((opening, State.OPEN), (resolving, State.RESOLVED))
    for number in numbers
}
# A failover that a person asked for and that RDS did not begin: nothing is wrong, whatever its category says.
_NOTES = frozenset({"RDS-EVENT-0034"})


def event(envelope: "Envelope") -> Facts:
    """Any event of RDS."""
    detail = envelope.detail
    source_arn = optional(detail, "SourceArn") or next(iter(envelope.resources), None)
    if source_arn is None:
        raise UnreadableError("SourceArn is missing")
    event_id, message = optional(detail, "EventID"), optional(detail, "Message")
    name = optional(detail, "SourceIdentifier") or arn.split(source_arn).resource
    category, severity = _category(detail)
    if event_id in _NOTES:
        severity = _OTHER_CATEGORY
    problem, state = _meaning(event_id, category, severity)
    return Facts(
        title=f"{name}: {message or event_id or category}",
        text=message,
        resource=source_arn,
        severity=severity,
        state=state,
        status=event_id,
        fingerprint=fingerprint("rds", source_arn, problem),
        order=instant(detail, "Date"),
        console_url=_page(envelope, source_arn),
        tags=_tags(detail),
    )


def _category(detail: Mapping[str, Any]) -> tuple[str, int]:
    """The category and its severity. Few events have several; of "maintenance, failure" it is the failure that counts.

    Raises:
        UnreadableError: if there is no list of categories.
    """
    categories = value(detail, "EventCategories")
    if not isinstance(categories, list) or not all(isinstance(category, str) for category in categories):
        raise UnreadableError("EventCategories is not a list of strings")
    rated = [(category, _CATEGORIES.get(category.strip().lower(), _OTHER_CATEGORY)) for category in categories]
    return max(rated, key=lambda pair: pair[1], default=("event", _OTHER_CATEGORY))


def _meaning(event_id: str | None, category: str, severity: int) -> tuple[str, State]:
    known = _PROBLEMS.get(event_id or "")
    if known:
        return known
    return category.strip().lower(), State.OPEN if severity >= _OPENED_ALONE else State.EVENT


def _tags(detail: Mapping[str, Any]) -> dict[str, str]:
    return {key: tag for key, tag in part(detail, "Tags").items() if isinstance(tag, str)}


def _page(envelope: "Envelope", source_arn: str) -> str | None:
    """The page of an instance or a cluster; of all else the list of events, which tells the rest."""
    where = arn.split(source_arn)
    kind, _, name = where.resource.partition(":")
    fragment = "events:"
    if kind in {"db", "cluster"}:
        fragment = f"database:id={console.encoded(name)};is-cluster={'true' if kind == 'cluster' else 'false'}"
    return console.page(where.region or envelope.region, "rds", fragment)
