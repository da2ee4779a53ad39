"""The dashboards, the day on which tests ask for them, and what they show of nothing."""

from datetime import UTC, datetime, timedelta

TODAY = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DASHBOARDS = ["overview", "events-stats", "alerts-stats", "tasks-stats", "users-stats"]


def days_back(first: int, last: int = 0) -> list[str]:
    """Days before today, oldest first."""
    return [f"{TODAY - timedelta(days=back):%Y-%m-%d}" for back in range(first, last - 1, -1)]


SEVERITIES = {str(severity): 0 for severity in range(6)}
STATUSES = {"open": 0, "in_progress": 0, "closed": 0}
PRIORITIES = {"critical": 0, "high": 0, "medium": 0, "low": 0}
