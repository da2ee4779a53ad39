"""What the dashboards tell of alerts."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.alerts import AlertAcknowledged, AlertRecurred
from infra import counts
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.integration.read_api import Api
from tests.unit.queries.alerts_told import acknowledge, open_alert, reopened, resolve, seen

TODAY = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SEVERITIES = {str(severity): 0 for severity in range(6)}
NOTHING = {
    "opened": 0,
    "acknowledged": 0,
    "resolved": 0,
    "mean_seconds_to_acknowledge": None,
    "mean_seconds_to_resolve": None,
}


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "now", lambda: TODAY)


@pytest.fixture
def dealt_with(asked: Api) -> Api:
    """Three alerts of some days: one open again today, one acknowledged since yesterday, one resolved."""
    history = asked.history
    history.now = TODAY - 3 * DAY
    open_alert(history, "a", severity=4, source="odd#source#1")
    history.now += timedelta(seconds=99)
    resolve(history, "a")  # after 100 seconds
    history.now = TODAY - DAY
    open_alert(history, "b", severity=2)
    open_alert(history, "c")
    history.now += timedelta(seconds=58)
    acknowledge(history, "b")  # after 60 seconds
    acknowledge(history, "c")  # after 60 seconds
    history.now = TODAY
    history.append("alert#a", reopened(severity=5))
    history.append("alert#c", AlertRecurred(seen=seen()))
    resolve(history, "c")
    asked.project()
    return asked


def test_the_overview_has_open_alerts_and_what_happened_today(dealt_with: Api) -> None:
    assert dealt_with.get("/dashboard/overview", "bob").body["alerts"] == {
        "open": {
            "total": 2,
            "unacknowledged": 1,
            "by_severity": {**SEVERITIES, "2": 1, "5": 1},
            "by_source": {"aws.cloudwatch": 2},
        },
        "opened_today": 1,
        "resolved_today": 1,
    }


def test_alerts_are_told_by_day_with_the_mean_times(dealt_with: Api) -> None:
    stats = dealt_with.get("/dashboard/alerts-stats", "bob", days="4").body

    taken = int(DAY.total_seconds()) + 1
    assert stats.pop("open") == {
        "total": 2,
        "unacknowledged": 1,
        "by_severity": {**SEVERITIES, "2": 1, "5": 1},
        "by_source": {"aws.cloudwatch": 2},
        "by_source_and_severity": {"aws.cloudwatch": {"2": 1, "5": 1}},
    }
    assert list(stats["by_day"]) == ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10"]
    assert stats == {
        "first_day": "2026-03-07",
        "last_day": "2026-03-10",
        "opened": 4,
        "acknowledged": 2,
        "resolved": 2,
        "mean_seconds_to_acknowledge": 60,
        "mean_seconds_to_resolve": round((100 + taken) / 2),
        "by_day": {
            "2026-03-07": {**NOTHING, "opened": 1, "resolved": 1, "mean_seconds_to_resolve": 100},
            "2026-03-08": NOTHING,
            "2026-03-09": {**NOTHING, "opened": 2, "acknowledged": 2, "mean_seconds_to_acknowledge": 60},
            "2026-03-10": {**NOTHING, "opened": 1, "resolved": 1, "mean_seconds_to_resolve": taken},
        },
    }


def test_only_the_days_that_are_asked_for_count(dealt_with: Api) -> None:
    stats = dealt_with.get("/dashboard/alerts-stats", days="1").body
    assert (stats["opened"], stats["resolved"], stats["acknowledged"]) == (1, 1, 0)
    assert stats["open"]["total"] == 2
    assert len(dealt_with.get("/dashboard/alerts-stats").body["by_day"]) == 30
    assert {days: dealt_with.get("/dashboard/alerts-stats", days=days).status for days in ("0", "60", "61")} == {
        "0": 422,
        "60": 200,
        "61": 422,
    }


def test_the_days_that_can_be_asked_for_stay_exact_however_long_an_alert_comes_and_goes(asked: Api) -> None:
    """What a row sums up as earlier is of days that no dashboard shows."""
    history = asked.history
    history.now = TODAY - 80 * DAY
    open_alert(history, "a")
    for back in range(79, -1, -1):
        resolve(history, "a")
        history.now = TODAY - back * DAY
        history.append("alert#a", reopened(), AlertAcknowledged())
    asked.project()

    stats = asked.get("/dashboard/alerts-stats", days="60").body

    assert (stats["opened"], stats["acknowledged"], stats["resolved"]) == (60, 60, 60 - 1)
    assert stats["open"]["unacknowledged"] == 0


def test_the_dashboard_of_alerts_is_two_reads(db: InMemoryDynamoDB, dealt_with: Api) -> None:
    dealt_with.get("/dashboard/alerts-stats")
    with db.metered() as used:
        dealt_with.get("/dashboard/alerts-stats", days="60")
    assert used.calls == {"Query": 2}
