"""Searching logs for errors: what is due, in every account that is watched, published as events of our own.

They come back through EventBridge as everything else does. A run claims a log group, asks Logs Insights for a window
of time, pins the window, publishes what it found and moves the mark. Whichever of these steps is the last before a
crash, another run does the window again: as a whole, and under the same ids, by which ingest knows what it has.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from aws_lambda_powertools import Logger

from commands.execution import new_id
from domain import log_queries
from domain.aws_configs import AwsConfig
from domain.log_queries import Line, Mark, Target, Window
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, ServiceConfig, ServiceName, defaults
from domain.sources import monitoring_agent
from infra import aws_accounts, clients, event_bus, history, metrics
from infra.event_store import DynamoDBEventStore
from infra.log_query_marks import LogQueryMarks, LostMarkError
from infra.logs_insights import Found, LogsInsights, NoLogGroupError, QueryFailedError
from infra.settings import LOG_QUERIES_AT_ONCE, LOG_QUERY_LEASE_SECONDS, LOG_QUERY_SECONDS, number, setting
from infra.usage import report
from infra.views import AWS_CONFIGS_LIST, Row

SESSION_NAME = "opsledger-log-query"
"""What a watched account's CloudTrail shows of us."""

FAILED = "LogSearchesFailed"
"""The metric of how many log groups cannot be searched now. It is measured in every run: silence is an alarm too."""

_SPARE_SECONDS = 30
"""Beside the query: for the calls around it, and for publishing what it finds."""

logger = Logger()


class Account(NamedTuple):
    """An account in a Region; reached by the config's role, or by the function's own without a config."""

    id: str
    region: str
    config: AwsConfig | None


class Insights(Protocol):
    """What is needed of `infra.logs_insights.LogsInsights`."""

    def lines(self, log_group: str, window: Window) -> Found:
        """See there."""


class Publish(Protocol):
    """What publishes findings; raises unless all were taken."""

    def __call__(self, details: Sequence[Mapping[str, Any]]) -> object: ...


class Step(NamedTuple):
    """What became of one window; without a mark, another run has it.

    Attributes:
        findings: that were published; None if the search failed.
    """

    mark: Mark | None
    findings: int | None


@dataclass
class Searched:
    """What a run did, and how it leaves things.

    Attributes:
        windows: that it searched.
        findings: that it published of them.
        failures: windows that it could not search.
        failing: log groups whose last search failed, also those that still wait for their next try.
    """

    windows: int = 0
    findings: int = 0
    failures: int = 0
    failing: int = 0

    def note(self, step: Step) -> None:
        if step.findings is None:
            self.failures += 1
            self.failing += step.mark is None  # it could not even be noted
        elif step.mark:
            self.windows += 1
            self.findings += step.findings


@dataclass(frozen=True)
class Search:
    """One run.

    Attributes:
        connect: gives Logs Insights of an account; raises if it cannot be reached.
        delay: seconds after which a line can be relied on to be found.
        clock: seconds since the epoch.
        time_left: seconds until the function is ended.
    """

    marks: LogQueryMarks
    connect: Callable[[Account], Insights]
    publish: Publish
    delay: int
    clock: Callable[[], float]
    time_left: Callable[[], float]

    def run(self, accounts: Iterable[Account], service: ServiceConfig) -> Searched:
        """Search what is due, the longest overdue first, while there is time; what is left is due in the next run."""
        done = Searched()
        targets = {
            Target(account.id, account.region, group): account for account in accounts for group in service.log_groups
        }
        by_id = self.marks.read(targets)
        known: dict[Target, Mark | None] = {target: by_id.get(target.id) for target in targets}
        connections: dict[Account, Insights | Exception] = {}
        with ThreadPoolExecutor(LOG_QUERIES_AT_ONCE) as threads:
            while due := self._due(known, service.polling_interval)[:LOG_QUERIES_AT_ONCE]:
                if self.time_left() < LOG_QUERY_SECONDS + _SPARE_SECONDS:
                    break
                for target, _ in due:  # one after the other: making clients is not safe for threads
                    if targets[target] not in connections:
                        connections[targets[target]] = self._connected(targets[target])
                searches = [
                    threads.submit(self._search, target, known[target], window, connections[targets[target]])
                    for target, window in due
                ]
                for (target, _), one in zip(due, searches, strict=True):
                    step = one.result()
                    done.note(step)
                    if step.mark is None:
                        del known[target]
                    else:
                        known[target] = step.mark
        done.failing += sum(mark is not None and mark.is_failing for mark in known.values())
        return done

    def _due(self, known: Mapping[Target, Mark | None], interval: int) -> list[tuple[Target, Window]]:
        at = int(self.clock())
        windows = ((target, log_queries.next_window(mark, at, interval, self.delay)) for target, mark in known.items())
        return sorted(((target, window) for target, window in windows if window), key=lambda one: one[1])

    def _connected(self, account: Account) -> Insights | Exception:
        try:
            return self.connect(account)
        except Exception as error:  # noqa: BLE001 - whatever it is, its log groups are tried again, and others go on
            return error

    def _search(self, target: Target, before: Mark | None, window: Window, connection: Insights | Exception) -> Step:
        """Search one window, or as much of it as one query can give."""
        claim = log_queries.claimed(before, window, new_id(), int(self.clock()), LOG_QUERY_LEASE_SECONDS)
        try:
            mark = self._saved(target, claim)
        except LostMarkError:
            return Step(None, 0)
        try:
            if isinstance(connection, Exception):
                raise connection  # noqa: TRY301 - a search that fails as any other
            window, lines = self._lines(connection, target, window, pinned=mark.pinned_until is not None)
            found = log_queries.findings(target, window, lines)
            if found:
                mark = self._saved(target, log_queries.pinned(mark, window))
                self.publish(found)
            mark = self._saved(target, log_queries.searched(mark, window))
        except LostMarkError:
            return Step(None, 0)
        except Exception as error:  # noqa: BLE001 - one log group holds up no other
            return Step(self._given_up(target, mark, error), None)
        return Step(mark, len(found))

    def _lines(
        self, insights: Insights, target: Target, window: Window, *, pinned: bool
    ) -> tuple[Window, Sequence[Line]]:
        """The lines of a window, or of as much of it as one query can give."""
        while True:
            try:
                found = insights.lines(target.log_group, window)
            except NoLogGroupError:
                logger.info("no such log group", extra={"target": target})
                return window, ()
            if not found.full:
                return window, found.lines
            half = None if pinned else log_queries.halved(window)
            if half is None:
                logger.warning("more errors than a query gives", extra={"target": target, "window": window})
                return window, found.lines
            window = half

    def _given_up(self, target: Target, mark: Mark, error: Exception) -> Mark | None:
        # An error's own text may hold a query or an ARN, but nothing that a log says.
        logger.warning("logs not searched", extra={"target": target, "reason": str(error), "attempts": mark.attempts})
        # A role that is refused, or AWS being busy, is so for a short window too.
        too_long = isinstance(error, QueryFailedError)
        try:
            return self._saved(target, log_queries.failed(mark, int(self.clock()), too_long=too_long))
        except Exception:  # it comes back when the lease ends
            logger.exception("search not given back", extra={"target": target})
            return None

    def _saved(self, target: Target, mark: Mark) -> Mark:
        self.marks.save(target, mark)
        return mark


def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001
    """Lambda entry point, called every minute."""
    store = DynamoDBEventStore(clients.dynamodb(), setting("EVENTS_TABLE"))
    config = history.load(store, MONITORING_CONFIG, MONITORING_CONFIG.stream(CONFIG_ID)).state or defaults()
    service = next((one for one in config.services if one.service_name == ServiceName.LOGS), None)
    if service is None or not service.enabled or not service.log_groups:
        logger.info("no logs to search")
        metrics.gauge(FAILED, "Count", 0)
        return
    search = Search(
        marks=LogQueryMarks(clients.dynamodb(), setting("GUARDS_TABLE")),
        connect=_connect,
        publish=_publish,
        delay=number("LOG_INGESTION_SECONDS", 180),
        clock=time.time,
        time_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    done = search.run(watched(context.invoked_function_arn), service)
    report()
    metrics.gauge(FAILED, "Count", done.failing)
    logger.info("logs searched", extra=vars(done))


def watched(function_arn: str) -> list[Account]:
    """The accounts of all active AWS configs; the function's own one while there is no config at all."""
    configs = [AwsConfig.model_validate_json(row.data) for row in Row.by_status.query(AWS_CONFIGS_LIST)]
    if not configs:
        _, _, _, region, account, *_ = function_arn.split(":")
        return [Account(account, region, None)]
    return [Account(config.account_id, config.region, config) for config in configs if config.is_active]


def _connect(account: Account) -> LogsInsights:
    credentials = {}
    if account.config:
        config = account.config
        credentials = aws_accounts.credentials(config.role_arn, config.external_id, SESSION_NAME)
    return LogsInsights(clients.logs(region=account.region, **credentials))


def _publish(details: Sequence[Mapping[str, Any]]) -> None:
    event_bus.put(clients.events(), monitoring_agent.SOURCE, monitoring_agent.DETAIL_TYPE, details)
