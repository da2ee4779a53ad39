"""What Logs Insights is asked, and how it may answer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from domain.log_queries import MESSAGE_CHARACTERS, Line, Window
from infra.logs_insights import MAX_ROWS, QUERY, LogsInsights, NoLogGroupError, QueryFailedError
from infra.settings import LOG_QUERY_SECONDS

WINDOW = Window(1_773_155_000, 1_773_155_300)


class NoSuchGroupError(ClientError):
    """As botocore makes it."""


class Client:
    """Answers a query with one status after the other, the last one for ever."""

    exceptions = SimpleNamespace(ResourceNotFoundException=NoSuchGroupError)

    def __init__(self, statuses: Sequence[str], rows: Sequence[Any] = ()) -> None:
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.refuse: Exception | None = None
        self._statuses = list(statuses)
        self._rows = list(rows)

    def start_query(self, **request: Any) -> dict[str, str]:
        if self.refuse:
            raise self.refuse
        self.asked.append(request)
        return {"queryId": "q-1"}

    def get_query_results(self, **request: str) -> dict[str, Any]:
        assert request == {"queryId": "q-1"}
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {"status": status, "results": self._rows}

    def stop_query(self, **request: str) -> None:
        self.stopped.append(request["queryId"])
        raise ClientError({"Error": {"Code": "InvalidParameterException", "Message": "it has ended"}}, "StopQuery")


class Clock:
    def __init__(self) -> None:
        self.at = 1_000.0

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def insights(client: Any, clock: Clock | None = None) -> LogsInsights:
    clock = clock or Clock()
    return LogsInsights(client, lambda: clock.at, clock.sleep)


def row(at: str, message: str, **more: str) -> list[dict[str, str]]:
    fields = {"@timestamp": at, "@message": message, "@logStream": "s", "@ptr": "p", **more}
    return [{"field": field, "value": value} for field, value in fields.items()]


def test_the_lines_of_a_complete_query_are_given_with_their_milliseconds() -> None:
    client = Client(["Scheduled", "Running", "Complete"], [row("2026-03-10 15:03:41.207", "ERROR boom")])
    found = insights(client).lines("/aws/lambda/checkout", WINDOW)
    assert found == ([Line(1_773_155_021_207, "s", "ERROR boom")], False)
    assert client.asked == [
        {
            "logGroupName": "/aws/lambda/checkout",
            "startTime": WINDOW.start,
            "endTime": WINDOW.end,
            "queryString": QUERY,
            "limit": MAX_ROWS,
        }
    ]
    assert client.stopped == []


def test_as_many_rows_as_a_query_gives_may_not_be_all() -> None:
    rows = [row("2026-03-10 15:03:41.207", "ERROR boom")] * MAX_ROWS
    assert insights(Client(["Complete"], rows)).lines("g", WINDOW).full
    assert not insights(Client(["Complete"], rows[1:])).lines("g", WINDOW).full


def test_a_line_is_not_kept_longer_than_it_is_told() -> None:
    client = Client(["Complete"], [row("2026-03-10 15:03:41", "x" * 300_000)])
    (line,) = insights(client).lines("g", WINDOW).lines
    assert len(line.message) == MESSAGE_CHARACTERS + 1


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout", "Unknown"])
def test_what_a_query_found_before_it_failed_counts_for_nothing(status: str) -> None:
    client = Client(["Running", status], [row("2026-03-10 15:03:41.207", "ERROR boom")])
    with pytest.raises(QueryFailedError, match=f"ended as {status}"):
        insights(client).lines("g", WINDOW)


def test_a_query_that_takes_too_long_is_stopped() -> None:
    client, clock = Client(["Running"]), Clock()
    with pytest.raises(QueryFailedError, match="not through"):
        insights(client, clock).lines("g", WINDOW)
    assert client.stopped == ["q-1"]
    assert 0.9 * LOG_QUERY_SECONDS < clock.at - 1_000 <= LOG_QUERY_SECONDS


def test_a_log_group_that_is_missing_is_told_from_other_refusals() -> None:
    client = Client(["Complete"])
    client.refuse = NoSuchGroupError({"Error": {"Code": "ResourceNotFoundException"}}, "StartQuery")
    with pytest.raises(NoLogGroupError):
        insights(client).lines("g", WINDOW)
    client.refuse = ClientError({"Error": {"Code": "LimitExceededException"}}, "StartQuery")
    with pytest.raises(ClientError):
        insights(client).lines("g", WINDOW)
