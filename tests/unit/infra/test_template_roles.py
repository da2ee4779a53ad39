"""What infra/template.yaml lets each function do: no more than it has to."""

import pytest

from tests.unit.infra.resources import FUNCTIONS, ROLES, attribute_of, listed, mentions, of_type, statements, variables


def actions_on(role: str, table: str) -> set[str]:
    """What a role may do with a table or its indexes; its stream is another resource."""
    granted = set()
    for actions, resources in statements(role):
        if any(mentions(resource, table) and "StreamArn" not in str(resource) for resource in resources):
            granted |= set(actions)
    return granted


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


# ---- what each function may do with tables


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


def test_reports_are_made_from_views_and_nothing_else_is_written() -> None:
    assert leading_keys("ReportsRole", "EventsTable") == {
        "dynamodb:Query": {"report#*"},
        "dynamodb:PutItem": {"report#*"},
    }
    assert actions_on("ReportsRole", "ViewsTable") == {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def test_the_read_api_reads_no_streams_but_those_that_it_shows() -> None:
    assert leading_keys("ReadApiRole", "EventsTable") == {
        "dynamodb:Query": {"task#*", "monitoring-config#*", "report#*"}
    }


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
