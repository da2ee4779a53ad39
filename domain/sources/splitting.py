"""Messages that hold several: each part becomes a monitoring event of its own.

Security Hub sends its findings in a list, and SNS hands Lambda a list of notifications. Mostly both have one entry.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.sources import ocsf, securityhub, sns
from domain.sources.envelope import Envelope, delivery_uuid, read

_FINDING_IDS = {
    (securityhub.SOURCE, securityhub.IMPORTED): securityhub.finding_id,
    (ocsf.SOURCE, ocsf.IMPORTED): ocsf.finding_id,
}


def split(envelope: Envelope) -> Sequence[Envelope]:
    """The parts of a message, at least one; of a message that holds one thing, itself.

    Each part's `raw` is a message that holds only this part. Its delivery uuid is its own, and the same whenever the
    whole message is delivered again.

    Raises:
        MalformedEnvelopeError: an entry of a list of SNS notifications is nested too deep to be stored.
    """
    if (envelope.source, envelope.detail_type) == (sns.SOURCE, sns.RECORDS):
        return _notifications(envelope) or [envelope]
    findings = envelope.detail.get("findings")
    finding_id = _FINDING_IDS.get((envelope.source, envelope.detail_type))
    if finding_id is None or not isinstance(findings, list) or len(findings) <= 1:
        return [envelope]
    return [_part(envelope, finding, f"{place} {finding_id(finding)}") for place, finding in enumerate(findings)]


def _part(envelope: Envelope, finding: object, name: str) -> Envelope:
    detail: Mapping[str, Any] = {**envelope.detail, "findings": [finding]}
    return envelope.model_copy(update={"detail": detail, "raw": {**envelope.raw, "detail": detail}, "part": name})


def _notifications(envelope: Envelope) -> list[Envelope]:
    parts: dict[str, Envelope] = {}
    for place, notification in enumerate(sns.records(envelope.detail) or ()):
        for part in split(read(sns.opened(notification))):
            uuid = str(delivery_uuid(part))
            twin = parts.get(uuid)
            if twin and twin.raw != part.raw:  # published samples give several notifications one id
                other = part.model_copy(update={"part": f"{place} {part.part or ''}"})
                parts[str(delivery_uuid(other))] = other
            else:
                parts[uuid] = part
    return list(parts.values())
