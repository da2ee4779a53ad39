"""The table of sources, a row for each kind of message: what it says, whose problem it is, and where to look.

What a fixture becomes when its fields change stands in the test of its source; here every source is next to the others.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from domain.sources import generic, registry
from domain.sources.mapping import MappedEvent, State

Mapped = Callable[..., MappedEvent]

OPEN, OVER, EVENT = State.OPEN, State.RESOLVED, State.EVENT


class Row(NamedTuple):
    """One message, and what is made of it.

    Attributes:
        fixture: its file; `changes` to it as the fixture `message` takes them.
        problem: any name; the same for messages about the same problem, which have one fingerprint.
        order: ms since the epoch, or a version.
        link: a part of the console link.
    """

    fixture: str
    severity: int
    state: State
    problem: str
    resource: str
    order: int
    link: str | None
    changes: Mapping[str, Any] = {}


CHECKOUT = "ApiName=checkout-api, Stage=prod"
CHECKOUT_ALARM = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:checkout-api 5xx rate"
ALARM_PAGE = "/cloudwatch/home?region=eu-central-1#alarmsV2:alarm/checkout-api%205xx%20rate"
STACK = "arn:aws:cloudformation:eu-central-1:111122223333:stack/checkout-prod/2c1f7a90-1b8f-11f1-9d0e-0a1b2c3d4e5f"
STACK_SET = (
    "arn:aws:cloudformation:eu-central-1:111122223333:stackset/account-baseline:6d0c1b2a-7f8e-4d9c-8b0a-1f2e3d4c5b6a"
)
STACK_IN_SET = (
    "arn:aws:cloudformation:eu-west-1:444455556666:stack/StackSet-account-baseline-91c0/"
    "71a2b3c4-1b9b-11f1-8c3d-0a1b2c3d4e5f"
)
STACK_PAGE = "/cloudformation/home?region=eu-central-1#/stacks/stackinfo?stackId=arn%3Aaws%3Acloudformation"
STACK_SET_PAGE = "/cloudformation/home?region=eu-central-1#/stacksets/account-baseline%3A6d0c1b2a"
GUARDDUTY_PAGE = "/guardduty/home?region=eu-central-1#"
INSTANCE_ARN = "arn:aws:ec2:eu-central-1:111122223333:instance/i-0a1b2c3d4e5f60718"
CONTROL = (
    "arn:aws:securityhub:eu-central-1:111122223333:security-control/S3.8/finding/2f9d0c1b-7a56-4e0c-8e2b-51c7a4c0d913"
)
OBJECT = "s3://invoices-inbox/2026/03/scan 17.pdf"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"
SERVICE = "arn:aws:ecs:eu-central-1:111122223333:service/shop/web"
ORDERS = "arn:aws:rds:eu-central-1:111122223333:db:orders-prod"
VOLUME = "arn:aws:ec2:eu-central-1:111122223333:volume/vol-0d1e2f3a4b5c6d7e8"
TASK = "arn:aws:ecs:eu-central-1:111122223333:task/shop/9a8b7c6d5e4f40312233445566778899"
HOST = "arn:aws:ecs:eu-central-1:111122223333:container-instance/shop/0f1e2d3c4b5a69788796a5b4c3d2e1f0"
POINT = "arn:aws:backup:eu-central-1:111122223333:recovery-point:0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"

TABLE = [
    # CloudWatch, by all its ways
    Row("alarm", 3, OPEN, "checkout", CHECKOUT, 1773130462874, ALARM_PAGE),
    Row("sns-alarm", 3, OPEN, "checkout", CHECKOUT, 1773130462874, ALARM_PAGE),
    Row("sns-envelope", 3, OPEN, "checkout", CHECKOUT, 1773130462874, ALARM_PAGE),
    Row("alarm-action", 3, OPEN, "checkout", CHECKOUT, 1773130462874, ALARM_PAGE),
    Row("alarm-ok", 0, OVER, "checkout", CHECKOUT, 1773131362643, ALARM_PAGE),
    Row("alarm-deleted", 0, OVER, "checkout", CHECKOUT_ALARM, 1773212403000, ALARM_PAGE),
    Row("alarm-contributor", 3, OPEN, "contributor", "invoice-render", 1773133327310, "#alarmsV2:alarm/queue-age"),
    # GuardDuty
    Row("guardduty", 3, OPEN, "mining", "i-0a1b2c3d4e5f60718", 1773137733402, "#/findings?search=id%3D5ec8f0a4b1d9"),
    Row("guardduty-coverage", 2, OPEN, "coverage", "billing", 1773145867000, f"{GUARDDUTY_PAGE}/runtime-monitoring"),
    Row(
        "guardduty-coverage", 0, OVER, "coverage", "billing", 1773145867000, f"{GUARDDUTY_PAGE}/runtime-monitoring",
        {"detail-type": "GuardDuty Runtime Protection Healthy"},
    ),
    Row("guardduty-object-scan", 3, OPEN, "object", OBJECT, 1773147862000, f"{GUARDDUTY_PAGE}/malware-scans"),
    Row("guardduty-plan-status", 3, OPEN, "plan", "invoices-inbox", 1773148811512, f"{GUARDDUTY_PAGE}/malware-scans"),
    Row(
        "guardduty-plan-status", 2, OPEN, "plan", "invoices-inbox", 1773148811512, f"{GUARDDUTY_PAGE}/malware-scans",
        {
            "detail-type": "GuardDuty Malware Protection Resource Status Warning",
            "detail.resourceStatus": "WARNING",
        },
    ),
    Row(
        "guardduty-plan-status", 0, OVER, "plan", "invoices-inbox", 1773148811512, f"{GUARDDUTY_PAGE}/malware-scans",
        {"detail-type": "GuardDuty Malware Protection Resource Status Active", "detail.resourceStatus": "ACTIVE"},
    ),
    Row("guardduty-post-scan", 2, OPEN, "tagging", OBJECT, 1773147902004, f"{GUARDDUTY_PAGE}/malware-scans"),
    # Security Hub, in both formats
    Row("securityhub-guardduty", 3, OPEN, "mining", INSTANCE_ARN, 1773137733402, "/securityhub/home?region=eu-central"),
    Row("securityhub-ocsf", 3, OPEN, "mining", INSTANCE_ARN, 1773137733402, "/latest/ug/compromised-ec2.html"),
    Row("securityhub-control", 3, OPEN, "control", "arn:aws:s3:::invoices-archive", 1773137352000, "/S3.8/remediation"),
    Row(
        "securityhub-control", 0, OVER, "control", "arn:aws:s3:::invoices-archive", 1773137352000, "/S3.8/remediation",
        {"detail.findings.0.Compliance.Status": "PASSED", "detail.findings.0.Severity.Label": "INFORMATIONAL"},
    ),
    Row("securityhub-custom-action", 0, EVENT, "action", CONTROL, 1773140567000, "#/findings?search=Id%3D%255C"),
    Row(
        "securityhub-insight", 0, EVENT, "insight", "arn:aws:securityhub:::insight/securityhub/default/10",
        1773140709000, "#/insights/arn%3Aaws%3Asecurityhub",
    ),
    # Health
    Row("health", 2, OPEN, "retirement", "i-0c3d4e5f607182930", 1773142121000, "/event-log?eventID=arn%3Aaws%3Ahealth"),
    Row(
        "health", 2, OVER, "retirement", "i-0c3d4e5f607182930", 1773142121000, "/event-log?eventID=arn%3Aaws%3Ahealth",
        {"detail.statusCode": "closed"},
    ),
    Row(
        "health", 4, OPEN, "retirement", "i-0c3d4e5f607182930", 1773142121000, "/event-log?eventID=arn%3Aaws%3Ahealth",
        {"detail-type": "AWS Health Abuse Event"},
    ),
    # CloudFormation
    Row("stack-failed", 4, OPEN, "stack", STACK, 1773146731000, STACK_PAGE),
    Row("sns-stack", 4, OPEN, "stack", STACK, 1773146731000, STACK_PAGE),
    Row(
        "stack-failed", 0, OVER, "stack", STACK, 1773146731000, STACK_PAGE,
        {"detail.status-details.status": "UPDATE_COMPLETE"},
    ),
    Row("stack-resource-failed", 3, OPEN, "orders table", "checkout-prod-orders", 1773146698000, STACK_PAGE),
    Row("stack-drift", 2, OPEN, "drift", STACK, 1773147612000, "#/stacks/drifts?stackId=arn%3Aaws"),
    Row("stack-set-operation", 3, OPEN, "stack set", STACK_SET, 1773151921000, STACK_SET_PAGE),
    Row(
        "stack-set-operation", 0, OVER, "stack set", STACK_SET, 1773151921000, STACK_SET_PAGE,
        {"detail-type": "CloudFormation StackSet Status Change", "detail.status-details.status": "DELETED"},
    ),
    Row("stack-instance-failed", 3, OPEN, "stack instance", STACK_IN_SET, 1773151844000, STACK_SET_PAGE),
    # EC2, ECS, RDS, Backup
    Row("ec2-instance", 1, EVENT, "instance", "i-0c4d5e6f708192a3b", 1773209560000, "#InstanceDetails:instanceId=i-0"),
    Row("ec2-spot-interruption", 2, EVENT, "instance", "i-0c4d5e6f708192a3b", 1773209440000, "#InstanceDetails:inst"),
    Row("ecs-service", 3, OPEN, "service", SERVICE, 1773310021118, "#/clusters/shop/services/web/details"),
    Row("ecs-deployment", 3, OPEN, "service", SERVICE, 1773310798000, "#/clusters/shop/services/web/details"),
    Row("rds", 3, OPEN, "failover", ORDERS, 1773281647321, "/rds/home?region=eu-central-1#database:id=orders-prod"),
    Row("backup-job", 3, OPEN, "backup", ORDERS, 1773371400000, "/backup/home?region=eu-central-1#/jobs"),
    Row(
        "ec2-instance", 0, OVER, "instance", "i-0c4d5e6f708192a3b", 1773209560000, "#InstanceDetails:instanceId=i-0",
        {"detail.state": "running"},
    ),
    Row("ebs-volume", 2, OPEN, "volume", VOLUME, 1773212405000, "#VolumeDetails:volumeId=vol-0d1e2f3a4b5c6d7e8"),
    Row(
        "ebs-volume", 0, OVER, "volume", VOLUME, 1773212405000, "#VolumeDetails:volumeId=vol-0d1e2f3a4b5c6d7e8",
        {"detail.result": "completed"},
    ),
    Row("ecs-task", 2, OPEN, "tasks", TASK, 1773309933441, "#/clusters/shop/tasks/9a8b7c6d5e4f40312233445566778899"),
    Row(
        "ecs-service", 0, OVER, "service", SERVICE, 1773310021118, "#/clusters/shop/services/web/details",
        {"detail.eventName": "SERVICE_STEADY_STATE", "detail.eventType": "INFO"},
    ),
    Row("ecs-instance-health", 2, OPEN, "host", HOST, 1773313500000, "#/clusters/shop/containerInstances/0f1e2d3c"),
    Row("ecs-instance", 0, EVENT, "host changes", HOST, 14801, "#/clusters/shop/containerInstances/0f1e2d3c"),
    Row(
        "rds", 3, OVER, "failover", ORDERS, 1773281647321, "#database:id=orders-prod;is-cluster=false",
        {"detail.EventID": "RDS-EVENT-0049"},
    ),
    Row(
        "backup-job", 0, OVER, "backup", ORDERS, 1773371400000, "/backup/home?region=eu-central-1#/jobs",
        {"detail.state": "COMPLETED", "detail.statusMessage": ""},
    ),
    Row("restore-job", 3, OPEN, "restore", POINT, 1773393000000, "/backup/home?region=eu-central-1#/jobs"),
    Row("recovery-point", 2, OPEN, "recovery point", ORDERS, 1773446400000, "#/backupvaults/details/nightly"),
    # Trusted Advisor, Access Analyzer, Config, Cost Anomaly Detection
    Row(
        "trusted-advisor", 2, OPEN, "load balancer",
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/shop", 1773550800000,
        "/trustedadvisor/home?region=us-east-1#/dashboard",
    ),
    Row("access-analyzer", 2, OPEN, "access", "arn:aws:s3:::invoices", 1773663000000, "#/findings/details/9e8d7c6b"),
    Row("config-rule", 2, OPEN, "rule", "AWS::S3::Bucket/invoices", 1773730803414, "?configRuleName=s3-public%20read"),
    Row(
        "cost-anomaly", 3, OPEN, "cost", "arn:aws:ce::111122223333:anomalymonitor/3c2b1a09-f8e7-4d6c-b5a4-938271605f4e",
        1773846000000, "/anomalies/d4c3b2a1-0f9e-4d8c-b7a6-958473625140",
    ),
    Row(
        "access-analyzer", 2, OVER, "access", "arn:aws:s3:::invoices", 1773663000000, "#/findings/details/9e8d7c6b",
        {"detail.status": "ARCHIVED"},
    ),
    Row(
        "unused-access", 1, OPEN, "unused", "arn:aws:iam::444455556666:role/old-deployer", 1773658800118,
        "#/findings/details/1a2b3c4d",
    ),
    Row("access-preview", 1, EVENT, "preview", "arn:aws:s3:::invoices", 1773666000000, "#/analyzers"),
    Row(
        "config-rule", 2, OVER, "rule", "AWS::S3::Bucket/invoices", 1773730803414, "?configRuleName=s3-public%20read",
        {"detail.newEvaluationResult.complianceType": "COMPLIANT"},
    ),
    # our own, and what a topic holds besides
    Row("log-error", 3, OPEN, "log", "/aws/lambda/invoice-render", 1773155021207, "$252Faws$252Flambda$252Finvoice"),
    Row("sns-text", 0, EVENT, "export", TOPIC, 1773108840118, None),
    Row("sns-confirmation", 0, EVENT, "confirmation", TOPIC, 1773104400000, None),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.fixture}-{row.state.value}-{row.severity}")
def test_a_message_says_how_bad_what_and_where(mapped: Mapped, row: Row) -> None:
    event = mapped(row.fixture, row.changes)
    assert (event.severity, event.state, event.resource, event.order) == (
        row.severity,
        row.state,
        row.resource,
        row.order,
    )
    assert event.console_url is None if row.link is None else row.link in (event.console_url or "")


def test_messages_about_one_problem_share_a_fingerprint_and_others_do_not(mapped: Mapped) -> None:
    fingerprints = defaultdict(set)
    for row in TABLE:
        fingerprints[row.problem].add(mapped(row.fixture, row.changes).fingerprint)
    assert all(len(found) == 1 for found in fingerprints.values()), fingerprints
    assert len(set.union(*fingerprints.values())) == len(fingerprints)


def test_every_source_has_its_row(mapped: Mapped) -> None:
    in_table = {mapped(row.fixture, row.changes).source for row in TABLE}
    assert in_table == {source for (source, _), mapper in registry.MAPPERS.items() if mapper is not generic.anything}
