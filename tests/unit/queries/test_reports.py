"""Daily reports by the API."""

import pytest

from domain.report_days import window
from domain.reports import Figures, ReportMade, day_of
from queries import wiring
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.integration.read_api import Api
from tests.unit.slack.test_report import BUSY


@pytest.fixture
def reported(asked: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The report of 2026-03-03."""
    monkeypatch.setattr(wiring, "store", lambda: asked.history.store)
    _made(asked, BUSY)
    return asked


def _made(asked: Api, figures: Figures) -> None:
    starts_at, ends_at = window(day_of("2026-03-03"))
    event = ReportMade(starts_at=starts_at, ends_at=ends_at, figures=figures)
    asked.history.now = ends_at
    asked.history.append("report#daily-2026-03-03", event, by="system:scheduler")


def test_any_user_reads_a_report(reported: Api) -> None:
    answer = reported.get("/reports/daily/2026-03-03", "bob")

    assert answer.status == 200
    assert (answer.headers["ETag"], answer.headers["Stream-Version"]) == ('"1"', "report#daily-2026-03-03@1")
    body = answer.body
    assert (body["day"], body["ends_at"] - body["starts_at"], body["made_at"]) == (
        "2026-03-03",
        86_400,
        body["ends_at"],
    )
    assert body["alerts"]["opened"] == {"value": 3, "before": 1}
    assert body["alerts"]["still_open"] == {"value": 5, "before": None}
    assert [one["occurrences"] for one in body["alerts"]["noisiest"]] == [12, 2]
    assert body["events"]["by_source"] == [
        {"source": "aws.cloudwatch", "total": {"value": 10, "before": 6}, "by_severity": {}}
    ]
    assert body["tasks"]["overdue"] == {"value": 2, "before": 3}


def test_nobody_reads_it_without_a_token(reported: Api) -> None:
    assert reported.get("/reports/daily/2026-03-03", None).status == 401


def test_a_day_without_a_report_is_not_found_and_the_answer_says_when_one_is_made(reported: Api) -> None:
    answer = reported.get("/reports/daily/2026-03-04")
    assert answer.status == 404
    assert "no report of 2026-03-04" in answer.body["detail"]
    assert "09:00 UTC" in answer.body["detail"]


@pytest.mark.parametrize("text", ["today", "2026-3-3", "20260303", "2026-02-30", "2026-W10-2", "2026-03-03T09"])
def test_what_is_no_date_is_refused(reported: Api, text: str) -> None:
    answer = reported.get(f"/reports/daily/{text}")
    assert answer.status == 422
    assert answer.body["errors"] == [{"field": "day", "message": "must be a date such as 2026-01-31"}]


def test_views_know_nothing_of_reports(reported: Api, db: InMemoryDynamoDB) -> None:
    reported.project()
    assert not [item for item in db.items("views") if "report" in item["pk"]["S"]]
