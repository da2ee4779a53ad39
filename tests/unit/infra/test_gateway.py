"""What the API's gateway answers by itself, and what it lets through, as infra/template.yaml has it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra import cors
from infra.settings import MAX_BODY_BYTES
from ops import template

TEMPLATE = template.load(Path(__file__).parents[3] / "infra" / "template.yaml")
RESPONSES: dict[str, dict[str, Any]] = template.gateway_responses(TEMPLATE)["Api"]


def body(kind: str) -> dict[str, Any]:
    told: dict[str, str] = RESPONSES[kind]["ResponseTemplates"]
    assert told.keys() == {"application/json"}  # the one that is taken whatever a request accepts
    made: dict[str, Any] = json.loads(told["application/json"].replace("$context.error.messageString", '"Forbidden"'))
    return made


@pytest.mark.parametrize("kind", RESPONSES)
def test_an_answer_of_the_gateway_is_a_problem_like_ours(kind: str) -> None:
    headers = RESPONSES[kind]["ResponseParameters"]["Headers"]
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Cache-Control"] == "'no-store'"
    assert headers["X-Correlation-Id"] == "context.requestId"
    problem = body(kind)
    assert {"type", "title", "detail"} <= problem.keys()
    assert problem.get("status") == (int(RESPONSES[kind]["StatusCode"]) if "StatusCode" in RESPONSES[kind] else None)


@pytest.mark.parametrize("kind", RESPONSES)
def test_pages_may_read_what_the_gateway_answers_where_they_may_call_the_api(kind: str) -> None:
    headers = RESPONSES[kind]["ResponseParameters"]["Headers"]
    nothing = {"Ref": "AWS::NoValue"}
    assert headers["Access-Control-Allow-Origin"] == {"Fn::If": ["AllowsPages", "'*'", nothing]}
    condition, exposed, otherwise = headers["Access-Control-Expose-Headers"]["Fn::If"]
    assert (condition, otherwise) == ("AllowsPages", nothing)
    assert set(exposed.strip("'").split(", ")) == set(cors.EXPOSED_HEADERS) & headers.keys() | {"Retry-After"}
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_stage_without_origins_lets_no_page_read_them() -> None:
    assert TEMPLATE["Conditions"]["AllowsPages"] == {
        "Fn::Or": [{"Ref": "IsLocal"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "AllowedOrigins"}, ""]}]}]
    }


def test_whatever_the_gateway_refuses_is_covered() -> None:
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= RESPONSES.keys()


def test_a_path_that_the_gateway_does_not_know_is_not_found_like_ours() -> None:
    assert body("MISSING_AUTHENTICATION_TOKEN")["status"] == 404


def test_who_is_throttled_is_told_when_to_go_on() -> None:
    assert RESPONSES["THROTTLED"]["StatusCode"] == "429"
    assert RESPONSES["THROTTLED"]["ResponseParameters"]["Headers"]["Retry-After"] == "'1'"


def test_the_gateway_names_the_limit_that_the_functions_have() -> None:
    assert body("REQUEST_TOO_LARGE")["detail"] == f"A body may have {MAX_BODY_BYTES:,} bytes."


def test_preflights_and_methods_without_routes_come_to_a_function_that_knows_all_paths() -> None:
    methods = {
        event["Properties"]["Method"]
        for function in TEMPLATE["Resources"].values()
        if function["Type"] == "AWS::Serverless::Function"
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "Api"
    }
    assert methods == {"get", "head", "options", "post", "put", "patch", "delete"}


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ("", True),
        ("https://ops.example.com", True),
        ("https://ops.example.com,http://10.0.0.7:8080", True),
        ("*", False),
        ("https://*.example.com", False),
        ("https://ops.example.com:*", False),
        ("https://ops.example.com/", False),
        ("ops.example.com", False),
        ("https://ops.example.com, https://other.example.com", False),
        ("null", False),
    ],
)
def test_a_stage_takes_exact_origins_only(origins: str, allowed: bool) -> None:  # noqa: FBT001
    parameter = TEMPLATE["Parameters"]["AllowedOrigins"]
    assert parameter["Default"] == ""
    assert bool(re.fullmatch(parameter["AllowedPattern"], origins)) is allowed
