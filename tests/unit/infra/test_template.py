"""What infra/template.yaml promises: least privilege, every setting that the code reads, queues that lose nothing."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from domain.sources.registry import MAPPERS
from infra import heartbeats, metrics
from infra.settings import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    LOG_QUERY_LEASE_SECONDS,
    LOG_QUERY_SECONDS,
    MAX_ACCESS_TOKEN_LIFETIME,
    MAX_DELIVERY_ATTEMPTS,
    MAX_LAG_SECONDS,
)
from ops import template

ROOT = Path(__file__).parents[3]
LAYERS = {"domain", "infra", "commands", "projections", "queries", "templates"}
TEMPLATE = template.load(ROOT / "infra" / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
GLOBALS: dict[str, Any] = TEMPLATE["Globals"]["Function"]
GLOBAL_VARIABLES: dict[str, Any] = GLOBALS["Environment"]["Variables"]

# A module reads its settings by name; tables of PynamoDB models are read when their module is imported.
READS = re.compile(r"""\b(?:setting|number|os\.environ\.get)\(\s*["']([A-Z][A-Z0-9_]*)["']""")

# Read by other code than ours: Powertools', and whoever looks at a log line's `STAGE`.
READ_BY_OTHERS = {"STAGE", "LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
ROLES = of_type("AWS::IAM::Role")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def attribute_of(value: Any) -> str:
    """The logical id in a `!GetAtt`."""
    name = value["Fn::GetAtt"][0]
    assert isinstance(name, str)
    return name


def mentions(value: Any, logical_id: str) -> bool:
    """Whether `!Ref`, `!GetAtt` or `${…}` of this resource stands anywhere in a value."""
    if isinstance(value, dict):
        if value.get("Ref") == logical_id or value.get("Fn::GetAtt", [None])[0] == logical_id:
            return True
        return any(mentions(inner, logical_id) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, logical_id) for inner in value)
    return isinstance(value, str) and re.search(rf"\$\{{{logical_id}[.}}]", value) is not None


def statements(role: str) -> Iterator[tuple[list[str], list[Any]]]:
    """Actions and resources of each statement of a role."""
    for policy in ROLES[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            yield listed(statement["Action"]), listed(statement["Resource"])


def actions_on(role: str, table: str) -> set[str]:
    """What a role may do with a table or its indexes; its stream is another resource."""
    granted = set()
    for actions, resources in statements(role):
        if any(mentions(resource, table) and "StreamArn" not in str(resource) for resource in resources):
            granted |= set(actions)
    return granted


def variables(function: str) -> dict[str, Any]:
    own: dict[str, Any] = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    return {**GLOBAL_VARIABLES, **own}


# ---- roles


def test_every_function_has_a_role_of_its_own() -> None:
    roles = [attribute_of(function["Role"]) for function in FUNCTIONS.values()]
    assert len(set(roles)) == len(FUNCTIONS)
    assert set(roles) == set(ROLES)


def test_no_function_takes_policies_beside_its_role() -> None:
    assert not [name for name, function in FUNCTIONS.items() if "Policies" in function]
    assert not [name for name, role in ROLES.items() if "ManagedPolicyArns" in role]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_for_lambda_only(role: str) -> None:
    for statement in ROLES[role]["AssumeRolePolicyDocument"]["Statement"]:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_every_action_in_full(role: str) -> None:
    assert not [action for actions, _ in statements(role) for action in actions if "*" in action]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_every_resource_but_for_the_actions_that_know_none(role: str) -> None:
    everywhere = [actions for actions, resources in statements(role) if "*" in resources]
    assert everywhere in ([], [["dynamodb:ListStreams"]], [["logs:GetQueryResults", "logs:StopQuery"]])


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_change_or_delete_a_commit(role: str) -> None:
    assert actions_on(role, "EventsTable") <= {"dynamodb:PutItem", "dynamodb:Query", "dynamodb:GetItem"}


def test_only_the_write_side_can_append() -> None:
    writers = {role for role in ROLES if "dynamodb:PutItem" in actions_on(role, "EventsTable")}
    handlers = {
        FUNCTIONS[name]["Handler"].partition(".")[0]
        for name in FUNCTIONS
        if attribute_of(FUNCTIONS[name]["Role"]) in writers
    }
    assert handlers == {"commands"}


def test_the_read_side_can_write_nothing() -> None:
    for function in FUNCTIONS.values():
        if function["Handler"].startswith("queries."):
            granted = {action for actions, _ in statements(attribute_of(function["Role"])) for action in actions}
            assert granted <= {
                *("logs:CreateLogStream", "logs:PutLogEvents"),
                *("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"),
                "secretsmanager:GetSecretValue",
            }


def leading_keys(role: str, table: str) -> dict[str, set[str]]:
    """Where the keys of a table begin that a role may use, by action; `*` where nothing limits them."""
    found: dict[str, set[str]] = {}
    for policy in ROLES[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if mentions(statement["Resource"], table) and "StreamArn" not in str(statement["Resource"]):
                limits = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
                for action in listed(statement["Action"]):
                    found.setdefault(action, set()).update(limits.get("dynamodb:LeadingKeys", {"*"}))
    return found


def test_reactions_can_end_sessions_erase_people_tell_tasks_of_their_alerts_and_do_nothing_else() -> None:
    assert leading_keys("ReactionsRole", "KeysTable") == {"dynamodb:DeleteItem": {"*"}}
    assert actions_on("ReactionsRole", "DataKey") == set()
    assert leading_keys("ReactionsRole", "EventsTable") == {
        "dynamodb:Query": {"session#*", "alert#*", "task#*", "monitoring-config#*"},
        "dynamodb:PutItem": {"session#*", "alert#*", "task#*"},
    }
    assert leading_keys("ReactionsRole", "GuardsTable") == {"dynamodb:PutItem": {"ended#*"}}
    assert leading_keys("ReactionsRole", "ViewsTable") == {
        "dynamodb:Query": {"*"},
        "dynamodb:GetItem": {"projections"},
        "dynamodb:PutItem": {"heartbeats"},
    }
    (resource,) = (
        resource
        for actions, resources in statements("ReactionsRole")
        for resource in resources
        if mentions(resource, "ViewsTable") and "dynamodb:Query" in actions
    )
    assert resource["Fn::Sub"].endswith("/index/gsi2")


def test_the_write_api_appends_to_the_streams_of_its_routes_and_to_none_that_aws_alone_fills() -> None:
    allowed = leading_keys("WriteApiRole", "EventsTable")["dynamodb:PutItem"]
    assert {"task#*", "alert#*", "session#*", "user#*"} <= allowed
    assert not {"*", "event#*"} & allowed


def test_the_read_api_sees_of_the_guards_only_what_ends_tokens() -> None:
    assert leading_keys("ReadApiRole", "GuardsTable") == {"dynamodb:BatchGetItem": {"ended#*", "stopped#*"}}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_to_its_own_log_group_which_forgets(function: str) -> None:
    name = FUNCTIONS[function]["FunctionName"]["Fn::Sub"]
    group = f"/aws/lambda/{name}"
    (kept,) = (
        logs["RetentionInDays"]
        for logs in of_type("AWS::Logs::LogGroup").values()
        if logs["LogGroupName"]["Fn::Sub"] == group
    )
    assert kept <= 90
    writing = [
        resources
        for actions, resources in statements(attribute_of(FUNCTIONS[function]["Role"]))
        if "logs:" in actions[0]
    ]
    assert [resource["Fn::Sub"].partition(":log-group:")[2] for resource in writing[0]] == [f"{group}:*"]


# ---- settings


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of ours that come with a module, itself included."""
    found = {module}
    waiting = [module]
    while waiting:
        for name in sorted(_imports(waiting.pop()) - found):
            found.add(name)
            waiting.append(name)
    return frozenset(found)


def _imports(module: str) -> set[str]:
    names: set[str] = set()
    for node in _run(ast.parse(_source(module).read_text()).body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.partition(".")[0] in LAYERS and _source(name).is_file()}


def _run(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every statement but those for the type checker alone."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _run(ast.iter_child_nodes(node))


def _source(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def read_by(function: str) -> set[str]:
    """The environment variables that a function's code may read."""
    module = FUNCTIONS[function]["Handler"].removesuffix(".handler")
    return {name for part in imported(module) for name in READS.findall(_source(part).read_text())}


def test_the_settings_that_code_reads_are_found() -> None:
    """The two tests after this one see nothing if this search does."""
    assert {"EVENTS_TABLE", "EVENT_RETENTION_DAYS", "INGEST_QUEUE_URL"} <= read_by("IngestFunction")
    assert {"VIEWS_TABLE", "TOKEN_SECRET_ARN"} <= read_by("ReadApiFunction")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_every_setting_that_its_code_reads(function: str) -> None:
    assert read_by(function) <= variables(function).keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_no_name_that_its_code_does_not_read(function: str) -> None:
    own = variables(function).keys() - GLOBAL_VARIABLES.keys()
    assert own <= read_by(function)


def test_what_every_function_is_told_is_read_by_some() -> None:
    read = set().union(*(read_by(function) for function in FUNCTIONS))
    assert GLOBAL_VARIABLES.keys() <= read | READ_BY_OTHERS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_setting_is_a_text_as_lambda_wants_it(function: str) -> None:
    numbers = {name for name, parameter in TEMPLATE["Parameters"].items() if parameter["Type"] == "Number"}
    for name, value in variables(function).items():
        assert isinstance(value, (str, dict)), f"{name} must be quoted"
        assert not (isinstance(value, dict) and value.get("Ref") in numbers), f"{name} must be a !Sub of the number"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_read_the_secrets_that_it_is_told_of_and_no_others(function: str) -> None:
    told = {attribute_of(value) for name, value in variables(function).items() if name.endswith("_SECRET_ARN")}
    readable = {
        attribute_of(resource)
        for actions, resources in statements(attribute_of(FUNCTIONS[function]["Role"]))
        if "secretsmanager:GetSecretValue" in actions
        for resource in resources
    }
    assert readable == told


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


def test_access_tokens_are_never_good_for_longer_than_what_ends_them_is_kept() -> None:
    parameter = TEMPLATE["Parameters"]["AccessTokenMinutes"]
    assert parameter["MaxValue"] * 60 <= MAX_ACCESS_TOKEN_LIFETIME.total_seconds()
    assert (parameter["Default"], parameter["MinValue"]) == (15, 1)
    assert TEMPLATE["Parameters"]["RefreshTokenDays"]["Default"] == 7


def test_no_function_is_given_a_key_of_tokens_by_its_environment() -> None:
    assert not [name for name in FUNCTIONS if "JWT_SECRET_KEY" in variables(name)]


def test_reactions_are_handed_commits_of_what_they_react_to_and_heartbeats_only() -> None:
    (source,) = FUNCTIONS["ReactionsFunction"]["Events"].values()
    (pattern,) = (json.loads(one["Pattern"]) for one in source["Properties"]["FilterCriteria"]["Filters"])
    prefixes = [{"prefix": f"{category}#"} for category in ("user", "task", "alert", "heartbeat")]
    assert pattern == {"data": {"dynamodb": {"Keys": {"pk": {"S": prefixes}}}}}


# ---- heartbeats and alarms


def test_schedules_append_heartbeats_and_do_nothing_else() -> None:
    assert leading_keys("SchedulesRole", "EventsTable") == {
        "dynamodb:Query": {"heartbeat#*"},
        "dynamodb:PutItem": {"heartbeat#*"},
    }
    assert {action.partition(":")[0] for actions, _ in statements("SchedulesRole") for action in actions} == {
        *("logs", "dynamodb")
    }


def test_the_search_of_logs_reads_what_to_search_keeps_its_marks_and_publishes_what_it_found_and_no_more() -> None:
    assert leading_keys("LogQueryRole", "EventsTable") == {"dynamodb:Query": {"monitoring-config#*"}}
    assert leading_keys("LogQueryRole", "ViewsTable") == {
        "dynamodb:Query": {"*|aws-configs"},
        "dynamodb:GetItem": {"projections"},
    }
    assert leading_keys("LogQueryRole", "GuardsTable") == {
        "dynamodb:BatchGetItem": {"log-query#*"},
        "dynamodb:PutItem": {"log-query#*"},
    }
    (publishing,) = (
        statement
        for statement in ROLES["LogQueryRole"]["Policies"][0]["PolicyDocument"]["Statement"]
        if statement["Action"] == "events:PutEvents"
    )
    assert publishing["Resource"]["Fn::Sub"].endswith(":event-bus/default")
    assert publishing["Condition"] == {"ForAllValues:StringEquals": {"events:source": "monitoring.agent"}}


def test_the_search_of_logs_comes_as_often_as_the_shortest_interval_needs_with_time_for_several_queries() -> None:
    (source,) = FUNCTIONS["LogQueryFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert FUNCTIONS["LogQueryFunction"]["Timeout"] > 2 * LOG_QUERY_SECONDS


def test_reports_are_made_from_views_and_nothing_else_is_written() -> None:
    assert leading_keys("ReportsRole", "EventsTable") == {
        "dynamodb:Query": {"report#*"},
        "dynamodb:PutItem": {"report#*"},
    }
    assert actions_on("ReportsRole", "ViewsTable") == {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def test_the_daily_report_is_asked_for_soon_after_nine_and_again_in_case_that_was_missed() -> None:
    (source,) = FUNCTIONS["ReportsFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "cron(2/5 * * * ? *)")


def test_the_read_api_reads_no_streams_but_those_that_it_shows() -> None:
    assert leading_keys("ReadApiRole", "EventsTable") == {
        "dynamodb:Query": {"task#*", "monitoring-config#*", "report#*"}
    }


def test_a_heartbeat_is_sent_as_often_as_consumers_expect_it() -> None:
    (source,) = FUNCTIONS["SchedulesFunction"]["Events"].values()
    assert (source["Type"], source["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert HEARTBEAT_SECONDS == 60


def test_those_who_tell_people_see_nothing_of_users_and_sessions() -> None:
    seen = {
        "NotifierRole": {"alert#*", "task#*", "event#*", "report#*", "monitoring-config#*"},
        "SweeperRole": {"alert#*"},
    }
    for role, keys in seen.items():
        assert leading_keys(role, "EventsTable") == {"dynamodb:Query": keys}
    assert actions_on("SenderRole", "EventsTable") == set()


def test_only_the_sender_reads_the_webhooks() -> None:
    readers = {role for role in ROLES if actions_on(role, "SlackSecret")}
    assert readers == {"SenderRole"}


def test_nobody_can_delete_a_decision_or_put_one_but_the_notifier() -> None:
    granted = {role: actions_on(role, "OutboxTable") for role in ROLES}
    assert {role for role, actions in granted.items() if "dynamodb:PutItem" in actions} == {"NotifierRole"}
    assert not [role for role, actions in granted.items() if "dynamodb:DeleteItem" in actions]
    assert granted["SweeperRole"] == {"dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"}


def test_the_projector_may_read_which_generation_is_live_by_its_key_too_as_it_does_when_a_batch_takes_long() -> None:
    assert {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"} <= actions_on("ProjectorRole", "ViewsTable")


def test_the_notifier_notes_in_the_views_table_that_it_heard_a_heartbeat_and_no_more() -> None:
    assert leading_keys("NotifierRole", "ViewsTable") == {"dynamodb:PutItem": {"heartbeats"}}


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


# ---- tables


def test_what_cannot_be_rebuilt_outlives_the_stack_and_can_be_restored() -> None:
    for name in ("EventsTable", "GuardsTable", "OutboxTable"):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert RESOURCES[name]["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_the_events_table_has_no_index_which_would_double_the_cost_of_a_write() -> None:
    events = RESOURCES["EventsTable"]["Properties"]
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & events.keys()
    assert events["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    assert attribute_of(events["KinesisStreamSpecification"]["StreamArn"]) == "EventsStream"
