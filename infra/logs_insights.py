"""Asking CloudWatch Logs Insights for the lines of a log group that speak of errors.

Limits are those of "CloudWatch Logs quotas" and of the API reference, StartQuery and GetQueryResults.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.log_queries import MESSAGE_CHARACTERS, Line, Window
from infra.settings import LOG_QUERY_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MAX_ROWS = 10_000
"""More rows no query gives."""

QUERY = (
    "fields @timestamp, @logStream, @message"
    " | filter @message like /(?i)(error|exception|fatal|critical|panic|traceback|severe|emerg)/"
    " | sort @timestamp asc"
)
"""What it says in the log is judged by us, so that the query is the same for everybody's way to write logs."""

_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 2.0
_WAITING = {"Scheduled", "Running"}


class QueryFailedError(Exception):
    """A query came to no complete result, perhaps for the length of its window; the text says how it ended."""


class NoLogGroupError(Exception):
    """There is no such log group."""


class Found(NamedTuple):
    """The lines that a query gave; not all there are if it is `full`."""

    lines: list[Line]
    full: bool


class LogsInsights:
    """Logs Insights of one account and Region.

    Args:
        clock: seconds, from any moment on.
    """

    def __init__(
        self,
        client: "CloudWatchLogsClient",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sleep = sleep

    def lines(self, log_group: str, window: Window) -> Found:
        """The lines of a window, oldest first, perhaps with a few from the second after it: Insights' end is included.

        At most LOG_QUERY_SECONDS; then the query is stopped.

        Raises:
            NoLogGroupError: there is none of that name.
            QueryFailedError: the query ended without a result, or took too long.
            ClientError: AWS refuses, or is still busy after botocore's retries.
        """
        try:
            query = self._client.start_query(
                logGroupName=log_group, startTime=window.start, endTime=window.end, queryString=QUERY, limit=MAX_ROWS
            )["queryId"]
        except self._client.exceptions.ResourceNotFoundException:
            raise NoLogGroupError(log_group) from None
        try:
            rows = self._rows(query)
        except Exception:
            with suppress(Exception):  # it has ended by itself, or will after an hour
                self._client.stop_query(queryId=query)
            raise
        return Found([_line(row) for row in rows], len(rows) >= MAX_ROWS)

    def _rows(self, query: str) -> list[Any]:
        until = self._clock() + LOG_QUERY_SECONDS
        wait = _FIRST_WAIT_SECONDS
        while True:
            answer: Any = self._client.get_query_results(queryId=query)
            status = answer["status"]
            if status == "Complete":
                rows: list[Any] = answer["results"]
                return rows
            if status not in _WAITING:
                raise QueryFailedError(f"the query ended as {status}")
            if self._clock() + wait > until:
                raise QueryFailedError(f"the query was not through after {LOG_QUERY_SECONDS} s")
            self._sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


def _line(row: list[dict[str, str]]) -> Line:
    fields = {column["field"]: column.get("value", "") for column in row}
    at = datetime.fromisoformat(fields["@timestamp"]).replace(tzinfo=UTC)
    # One character more than is told, so that whoever cuts it sees that there was more.
    return Line(
        round(at.timestamp() * 1000), fields.get("@logStream", ""), fields["@message"][: MESSAGE_CHARACTERS + 1]
    )
