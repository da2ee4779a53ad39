"""The one declared registry: which source and detail-type is read by which mapper."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from domain.sources import (
    access_analyzer,
    backup,
    cloudformation,
    cloudwatch,
    config_rules,
    cost_anomaly,
    ec2,
    ecs,
    generic,
    guardduty,
    guardduty_protection,
    health,
    monitoring_agent,
    ocsf,
    rds,
    securityhub,
    sns,
    trusted_advisor,
)
from domain.sources.facts import Facts
from domain.sources.mapping import MappedEvent
from domain.sources.moments import milliseconds
from domain.sources.reading import SHOWN, UnreadableError

if TYPE_CHECKING:
    # The envelope asks this registry who claims a detail-type; nothing here needs the envelope when it runs.
    from domain.sources.envelope import Envelope

Mapper = Callable[["Envelope"], Facts]

MAPPERS: Mapping[tuple[str, str], Mapper] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): cloudwatch.state_change,
    ("aws.cloudwatch", "CloudWatch Alarm Contributor State Change"): cloudwatch.state_change,
    ("aws.cloudwatch", "CloudWatch Alarm Configuration Change"): cloudwatch.configuration_change,
    ("aws.guardduty", "GuardDuty Finding"): guardduty.finding,
    ("aws.guardduty", "GuardDuty Runtime Protection Healthy"): guardduty_protection.coverage,
    ("aws.guardduty", "GuardDuty Runtime Protection Unhealthy"): guardduty_protection.coverage,
    ("aws.guardduty", "GuardDuty Malware Protection Object Scan Result"): guardduty_protection.object_scan,
    ("aws.guardduty", "GuardDuty Malware Protection Resource Status Active"): guardduty_protection.plan_status,
    ("aws.guardduty", "GuardDuty Malware Protection Resource Status Warning"): guardduty_protection.plan_status,
    # The user guide's own pattern for it has a small letter.
    ("aws.guardduty", "GuardDuty Malware Protection Resource Status warning"): guardduty_protection.plan_status,
    ("aws.guardduty", "GuardDuty Malware Protection Resource Status Error"): guardduty_protection.plan_status,
    ("aws.guardduty", "GuardDuty Malware Protection Post Scan Action Failed"): guardduty_protection.post_scan_action,
    ("aws.health", "AWS Health Event"): health.event,
    ("aws.health", "AWS Health Abuse Event"): health.abuse,
    ("aws.cloudformation", "CloudFormation Stack Status Change"): cloudformation.stack,
    ("aws.cloudformation", "CloudFormation Resource Status Change"): cloudformation.resource,
    ("aws.cloudformation", "CloudFormation Drift Detection Status Change"): cloudformation.drift,
    ("aws.cloudformation", "CloudFormation StackSet Status Change"): cloudformation.stack_set,
    ("aws.cloudformation", "CloudFormation StackSet Operation Status Change"): cloudformation.stack_set_operation,
    ("aws.cloudformation", "CloudFormation StackSet StackInstance Status Change"): cloudformation.stack_instance,
    # Listed in the EventBridge events reference, without a published shape: generic on purpose.
    ("aws.cloudformation", "CloudFormation Stack State Change"): generic.anything,
    ("aws.cloudformation", "CloudFormation Hook Invocation Progress"): generic.anything,
    ("aws.ec2", "EC2 Instance State-change Notification"): ec2.instance_state,
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"): ec2.spot_interruption,
    ("aws.ec2", "EC2 Instance Rebalance Recommendation"): ec2.rebalance_recommendation,
    ("aws.ec2", "EBS Volume Notification"): ec2.volume,
    ("aws.ec2", "EBS Snapshot Notification"): ec2.snapshot,
    ("aws.ec2", "EBS Multi-Volume Snapshots Completion Status"): ec2.multi_volume_snapshots,
    ("aws.rds", "RDS DB Instance Event"): rds.event,
    ("aws.rds", "RDS DB Cluster Event"): rds.event,
    ("aws.rds", "RDS DB Snapshot Event"): rds.event,
    ("aws.rds", "RDS DB Cluster Snapshot Event"): rds.event,
    ("aws.rds", "RDS DB Parameter Group Event"): rds.event,
    ("aws.rds", "RDS DB Security Group Event"): rds.event,
    ("aws.rds", "RDS DB Proxy Event"): rds.event,
    ("aws.rds", "RDS DB Shard Group Event"): rds.event,
    ("aws.rds", "RDS Blue Green Deployment Event"): rds.event,
    ("aws.rds", "RDS Custom Engine Version Event"): rds.event,
    ("aws.rds", "RDS Zero ETL Event"): rds.event,
    ("aws.ecs", "ECS Task State Change"): ecs.task,
    ("aws.ecs", "ECS Service Action"): ecs.service,
    ("aws.ecs", "ECS Deployment State Change"): ecs.service,
    ("aws.ecs", "ECS Container Instance State Change"): ecs.container_instance,
    ("aws.ecs", "ECS Container Instance Health Change"): ecs.container_instance_health,
    ("aws.backup", "Backup Job State Change"): backup.job,
    ("aws.backup", "Copy Job State Change"): backup.job,
    ("aws.backup", "Restore Job State Change"): backup.job,
    ("aws.backup", "Recovery Point State Change"): backup.recovery_point,
    ("aws.backup", "Recovery Point Change"): backup.recovery_point,
    ("aws.backup", "Recovery Point Index State Change"): backup.index,
    ("aws.backup", "Backup Vault State Change"): backup.setting,
    ("aws.backup", "Backup Plan State Change"): backup.setting,
    ("aws.backup", "Region Setting State Change"): backup.setting,
    ("aws.trustedadvisor", "Trusted Advisor Check Item Refresh Notification"): trusted_advisor.check_item,
    ("aws.access-analyzer", "Access Analyzer Finding"): access_analyzer.external_access,
    ("aws.access-analyzer", "Internal Access Finding"): access_analyzer.internal_access,
    ("aws.access-analyzer", "Unused Access Finding for IAM entities"): access_analyzer.unused_access,
    ("aws.access-analyzer", "Access Preview State Change"): access_analyzer.preview,
    ("aws.config", "Config Rules Compliance Change"): config_rules.compliance_change,
    ("aws.ce", "Anomaly Detected"): cost_anomaly.anomaly,
    (securityhub.SOURCE, securityhub.IMPORTED): securityhub.finding,
    (ocsf.SOURCE, ocsf.IMPORTED): ocsf.finding,
    (securityhub.SOURCE, "Security Hub Findings - Custom Action"): securityhub.custom_action,
    (securityhub.SOURCE, "Security Hub Insight Results"): securityhub.insight_results,
    (sns.SOURCE, sns.NOTIFICATION): sns.notification,
    (sns.SOURCE, sns.CONFIRMATION): sns.confirmation,
    (monitoring_agent.SOURCE, monitoring_agent.DETAIL_TYPE): monitoring_agent.log_error,
}

_CLAIMS = {detail_type: source for source, detail_type in MAPPERS}
_SOURCES = frozenset(_CLAIMS.values())

_TITLE = 300
_TEXT = 3_000
_NAME = 2_048
"""The longest ARN that AWS allows; also the longest name kept of an account, a Region or a status."""
_RESOURCES = 100
"""A Health event may list thousands. The raw message keeps all; a stored event must stay below 400 KB."""

_TAGS, _TAG = 50, 256
"""The most tags that AWS allows on a resource, and the most characters of one."""

# All that reading foreign data can raise. A fault of the machine (MemoryError …) is not a matter of the message.
_ODD_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def claimed_source(detail_type: str) -> str | None:
    """The source of the mapper that is registered for a detail-type; None when none is."""
    return _CLAIMS.get(detail_type)


def map_envelope(envelope: "Envelope", *, received_at: datetime) -> MappedEvent:
    """Understand one message. Never raises: what its mapper cannot read is generic, with the reason in `unmapped`.

    Args:
        envelope: the message.
        received_at: when it came in (aware); orders messages that carry no usable time.
    """
    notes = list(envelope.faults)
    mapper = MAPPERS.get((envelope.source, envelope.detail_type))
    if mapper is None and envelope.source in _SOURCES:
        notes.append(f"taken as generic: no mapper for this detail-type of {_cut(envelope.source, SHOWN)}")
    if mapper is not None:
        try:
            return _complete(envelope, mapper(envelope), notes, received_at)
        except _ODD_SHAPE as error:
            said = f"{error}" if isinstance(error, UnreadableError) else f"{type(error).__name__}: {error}"
            notes.append(f"taken as generic: {_cut(_one_line(said), SHOWN)}")
    return _complete(envelope, generic.anything(envelope), notes, received_at)


def _complete(envelope: "Envelope", facts: Facts, notes: Iterable[str], received_at: datetime) -> MappedEvent:
    order = facts.order
    if order is None:
        order = milliseconds(envelope.time or received_at)
    resources = envelope.resources if facts.resources is None else facts.resources
    return MappedEvent(
        source=_cut(envelope.source, _NAME),
        detail_type=_cut(envelope.detail_type, _NAME),
        account=_name(facts.account or envelope.account),
        region=_name(facts.region or envelope.region),
        title=_cut(_one_line(facts.title) or envelope.detail_type, _TITLE),
        text=_cut(facts.text, _TEXT) if facts.text else None,
        resource=_name(facts.resource),
        resources=tuple(_cut(resource, _NAME) for resource in resources[:_RESOURCES]),
        severity=facts.severity,
        state=facts.state,
        status=_name(facts.status),
        fingerprint=facts.fingerprint,
        order=order,
        # A link that was cut would lead nowhere. Names come from outside, and may be of any length.
        console_url=facts.console_url if facts.console_url and len(facts.console_url) <= _NAME else None,
        quiet=_cut(facts.quiet, _TITLE) if facts.quiet else None,
        tags=_tags(facts.tags),
        unmapped=tuple(notes),
    )


def _tags(tags: Mapping[str, str] | None) -> Mapping[str, str] | None:
    kept = islice(tags.items(), _TAGS) if tags else ()
    return {_cut(key, _TAG): _cut(value, _TAG) for key, value in kept} or None


def _name(text: str | None) -> str | None:
    return _cut(text, _NAME) if text else None


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
