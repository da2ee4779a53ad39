"""Notifications: whether a person is to be told of a domain event, and why (not)."""

from typing import NamedTuple

from domain.sources.mapping import MappedEvent, State


class Verdict(NamedTuple):
    """Told (`send`) or suppressed, and the rule that made it so, in words."""

    send: bool
    rule: str


def judge(mapped: MappedEvent, least_severity: int) -> Verdict:
    """Whether a monitoring event is told to people: those that are a problem, from `least_severity` upwards."""
    if mapped.quiet:
        return Verdict(send=False, rule=f"quiet: {mapped.quiet}")
    if mapped.state is State.RESOLVED:
        return Verdict(send=False, rule="says that a problem is over")
    if mapped.severity < least_severity:
        return Verdict(send=False, rule=f"severity {mapped.severity} is below {least_severity}")
    return Verdict(send=True, rule=f"severity {mapped.severity} is {least_severity} or more")
