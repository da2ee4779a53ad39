"""The fields of an ARN: `arn:partition:service:region:account:resource`."""

from typing import NamedTuple

_FIELDS = 6


class Arn(NamedTuple):
    """What an ARN says; None for a field it leaves empty."""

    region: str | None
    account: str | None
    resource: str


def split(arn: str) -> Arn:
    """The fields; of a text that is no ARN, the whole text as the resource."""
    fields = arn.split(":", _FIELDS - 1)
    if len(fields) < _FIELDS or fields[0] != "arn":
        return Arn(None, None, arn)
    return Arn(fields[3] or None, fields[4] or None, fields[5])
