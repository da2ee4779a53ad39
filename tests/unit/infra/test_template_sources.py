"""What feeds the functions in infra/template.yaml loses nothing, and alarms tell of what is stuck or lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain.sources.registry import MAPPERS
from infra import heartbeats, metrics
from infra.settings import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    LOG_QUERY_LEASE_SECONDS,
    LOG_QUERY_SECONDS,
    MAX_DELIVERY_ATTEMPTS,
    MAX_LAG_SECONDS,
)
from tests.unit.infra.resources import (
    FUNCTIONS,
    GLOBAL_VARIABLES,
    GLOBALS,
    QUEUES,
    RESOURCES,
    TEMPLATE,
    attribute_of,
    mentions,
    of_type,
    statements,
)

# ---- queues and streams


def consumers() -> Iterator[tuple[str, str]]:
    """Each queue that feeds a function, and the function."""
    for name, function in FUNCTIONS.items():
        for source in function["Events"].values():
            if source["Type"] == "SQS":
                yield attribute_of(source["Properties"]["Queue"]), name


CONSUMERS = list(consumers())


def test_every_source_that_has_a_mapper_is_let_in() -> None:
    let_in = RESOURCES["IngestRule"]["Properties"]["EventPattern"]["source"]
    assert {"prefix": "monitoring."} in let_in
    # Topics send to the queue themselves.
    mapped = {source for source, _ in MAPPERS if not source.startswith("monitoring.")} - {"aws.sns"}
    assert mapped <= {source for source in let_in if isinstance(source, str)}


def test_ingest_and_delivery_are_fed_by_queues() -> None:
    assert dict(CONSUMERS) == {"IngestQueue": "IngestFunction", "DeliveryQueue": "SenderFunction"}


@pytest.mark.parametrize(("queue", "function"), CONSUMERS)
def test_a_message_stays_hidden_for_six_times_the_time_out_of_its_function(queue: str, function: str) -> None:
    """As Lambda's guide to SQS asks for: a throttled batch is tried again before its messages come back."""
    timeout = FUNCTIONS[function].get("Timeout", GLOBALS["Timeout"])
    assert QUEUES[queue]["VisibilityTimeout"] >= 6 * timeout


@pytest.mark.parametrize(("queue", "function"), CONSUMERS)
def test_what_no_try_can_handle_is_kept_in_a_dead_letter_queue_for_as_long_as_sqs_keeps(
    queue: str, function: str
) -> None:
    dead = attribute_of(QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"])
    assert dead not in dict(CONSUMERS)
    assert QUEUES[dead]["MessageRetentionPeriod"] == 1_209_600
    (source,) = (source for source in FUNCTIONS[function]["Events"].values() if source["Type"] == "SQS")
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_are_encrypted_where_they_lie(queue: str) -> None:
    assert QUEUES[queue]["SqsManagedSseEnabled"] is True


def test_the_sender_knows_which_try_is_the_last() -> None:
    assert QUEUES["DeliveryQueue"]["RedrivePolicy"]["maxReceiveCount"] == MAX_DELIVERY_ATTEMPTS + 1


def test_a_lease_outlives_the_function_that_holds_it() -> None:
    assert FUNCTIONS["SenderFunction"].get("Timeout", GLOBALS["Timeout"]) < LEASE_SECONDS
    assert FUNCTIONS["LogQueryFunction"]["Timeout"] < LOG_QUERY_LEASE_SECONDS


def test_a_record_of_a_stream_that_is_given_up_is_noted() -> None:
    for function in FUNCTIONS.values():
        for source in function["Events"].values():
            if source["Type"] in {"DynamoDB", "Kinesis"}:
                note = source["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
                assert attribute_of(note) in QUEUES
                sendable = [
                    resources
                    for actions, resources in statements(attribute_of(function["Role"]))
                    if "sqs:SendMessage" in actions
                ]
                assert any(mentions(resources, attribute_of(note)) for resources in sendable)


def test_reactions_are_handed_commits_of_what_they_react_to_and_heartbeats_only() -> None:
    (source,) = FUNCTIONS["ReactionsFunction"]["Events"].values()
    (pattern,) = (json.loads(one["Pattern"]) for one in source["Properties"]["FilterCriteria"]["Filters"])
    prefixes = [{"prefix": f"{category}#"} for category in ("user", "task", "alert", "heartbeat")]
    assert pattern == {"data": {"dynamodb": {"Keys": {"pk": {"S": prefixes}}}}}


def test_what_a_stream_does_not_get_rid_of_is_noted_before_it_vanishes_with_time_to_read_it_again() -> None:
    """Both streams keep their records for 24 hours."""
    for function in FUNCTIONS.values():
        for source in function["Events"].values():
            if source["Type"] in {"DynamoDB", "Kinesis"}:
                limits = source["Properties"]
                assert limits["MaximumRetryAttempts"] == -1
                assert limits["BisectBatchOnFunctionError"] is True
                assert 3600 <= 24 * 3600 - limits["MaximumRecordAgeInSeconds"] <= 6 * 3600
    assert RESOURCES["EventsStream"]["Properties"]["RetentionPeriodHours"] == 24


# ---- schedules


def test_the_search_of_logs_comes_as_often_as_the_shortest_interval_needs_with_time_for_several_queries() -> None:
    (source,) = FUNCTIONS["LogQueryFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert FUNCTIONS["LogQueryFunction"]["Timeout"] > 2 * LOG_QUERY_SECONDS


def test_the_daily_report_is_asked_for_soon_after_nine_and_again_in_case_that_was_missed() -> None:
    (source,) = FUNCTIONS["ReportsFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "cron(2/5 * * * ? *)")


def test_a_heartbeat_is_sent_as_often_as_consumers_expect_it() -> None:
    (source,) = FUNCTIONS["SchedulesFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert HEARTBEAT_SECONDS == 60


# ---- alarms


ALARMS = of_type("AWS::CloudWatch::Alarm")
OWN_ALARMS = [name for name, alarm in ALARMS.items() if alarm["Namespace"] == "opsledger"]
LAG_ALARMS = [alarm for alarm in ALARMS.values() if alarm["MetricName"] == "ProjectionLag"]


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def test_the_lag_of_every_consumer_has_an_alarm_which_also_goes_off_in_silence() -> None:
    assert sorted(dimensions(alarm)["consumer"] for alarm in LAG_ALARMS) == sorted(heartbeats.CONSUMERS)
    for alarm in LAG_ALARMS:
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (MAX_LAG_SECONDS, "breaching")
        assert alarm["Period"] >= HEARTBEAT_SECONDS


def test_a_single_stuck_shard_of_any_function_that_reads_a_stream_has_an_alarm() -> None:
    readers = [
        name
        for name, function in FUNCTIONS.items()
        if any(source["Type"] in {"DynamoDB", "Kinesis"} for source in function["Events"].values())
    ]
    watched = [alarm for alarm in ALARMS.values() if alarm["MetricName"] == "IteratorAge"]
    assert [dimensions(alarm) for alarm in watched] == [
        {"FunctionName": {"Ref": name}} for name in ("ProjectorFunction", "NotifierFunction", "ReactionsFunction")
    ]
    assert len(readers) == len(watched) == len(heartbeats.CONSUMERS)
    for alarm in watched:
        assert (alarm["Namespace"], alarm["Statistic"]) == ("AWS/Lambda", "Maximum")
        assert alarm["Threshold"] == MAX_LAG_SECONDS * 1000, "milliseconds"
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 600


@pytest.mark.parametrize("name", OWN_ALARMS)
def test_an_alarm_watches_what_is_measured(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch takes a metric for another one if a dimension is missing or more."""
    alarm = ALARMS[name]
    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", GLOBAL_VARIABLES["POWERTOOLS_SERVICE_NAME"])
    watched = {name: "dev" if value == {"Ref": "Stage"} else value for name, value in dimensions(alarm).items()}

    metrics.gauge(alarm["MetricName"], "Count", 1, **{k: v for k, v in watched.items() if k == "consumer"})

    written = json.loads(capsys.readouterr().out)
    (told,) = written["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == alarm["Namespace"]
    assert {name: written[name] for name in told["Dimensions"][0]} == watched


def test_what_is_lost_or_keeps_failing_has_an_alarm() -> None:
    alarms = ALARMS.values()
    watched = {(alarm["Namespace"], json.dumps(of)) for alarm in alarms for of in dimensions(alarm).values()}
    for queue in ("IngestDeadLetterQueue", "StreamFailureQueue"):
        assert ("AWS/SQS", json.dumps({"Fn::GetAtt": [queue, "QueueName"]})) in watched
    assert ("AWS/Lambda", json.dumps({"Ref": "SweeperFunction"})) in watched
    assert {alarm["MetricName"] for alarm in alarms} >= {"NotificationsFailed", "LogSearchesFailed"}


def test_log_searches_are_told_of_if_they_keep_failing_and_not_if_one_fails_now_and_then() -> None:
    alarm = ALARMS["LogSearchesFailedAlarm"]
    assert alarm["Statistic"] == "Minimum"
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] >= 5 * 60, "several runs, of which each tells of what fails"
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3_600


def test_alarms_are_for_stages_on_aws_and_notify_nobody_unless_a_topic_is_named() -> None:
    assert TEMPLATE["Parameters"]["AlarmTopicArn"]["Default"] == ""
    for name, alarm in ALARMS.items():
        assert RESOURCES[name]["Condition"] == "IsOnAws"
        for actions in (alarm["AlarmActions"], alarm["OKActions"]):
            assert actions["Fn::If"][0] == "HasAlarmTopic"
            assert actions["Fn::If"][2] == {"Ref": "AWS::NoValue"}
