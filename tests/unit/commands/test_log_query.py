"""Searching logs: whatever overlaps, fails or crashes, each line of a log is counted once."""

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.log_query import Account, Search, Searched
from domain.log_queries import Line, Mark, Target, Window
from domain.monitoring_config import ServiceConfig
from infra.log_query_marks import LogQueryMarks
from infra.logs_insights import Found, NoLogGroupError, QueryFailedError
from infra.settings import LOG_QUERY_LEASE_SECONDS, LOG_QUERY_SECONDS
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.faults import CrashError, Fault, at_random, at_request

T = 1_773_155_000
INTERVAL, DELAY = 300, 180
OURS = Account("111122223333", "eu-central-1", None)
THEIRS = Account("444455556666", "eu-west-1", None)
GROUP = "/aws/lambda/checkout"


class Logs:
    """Logs Insights of all accounts; an end is included, as in AWS.

    Attributes:
        before: called before each query is answered.
    """

    def __init__(self, most: int = 10_000) -> None:
        self.written: dict[tuple[str, str], list[Line]] = {}
        self.asked: list[tuple[str, Window]] = []
        self.before: Callable[[], object] = lambda: None
        self._most = most

    def write(self, at: float, message: str, group: str = GROUP, account: Account = OURS) -> None:
        self.written.setdefault((account.id, group), []).append(Line(round(at * 1000), "s", message))

    def of(self, account: Account) -> "LogsOfAccount":
        return LogsOfAccount(self, account)

    def answer(self, account: Account, group: str, window: Window) -> Found:
        self.asked.append((group, window))
        self.before()
        if (account.id, group) not in self.written:
            raise NoLogGroupError(group)
        lines = sorted(self.written[account.id, group])
        found = [line for line in lines if window.start * 1000 <= line.at <= window.end * 1000]
        return Found(found[: self._most], len(found) >= self._most)


class LogsOfAccount:
    def __init__(self, logs: Logs, account: Account) -> None:
        self._logs = logs
        self._account = account

    def lines(self, log_group: str, window: Window) -> Found:
        return self._logs.answer(self._account, log_group, window)


class Bus:
    """What was published, in order; ingest knows a finding that it has by its id."""

    def __init__(self) -> None:
        self.published: list[Mapping[str, Any]] = []
        self.during: Callable[[], object] = lambda: None

    def put(self, details: Sequence[Mapping[str, Any]]) -> None:
        for detail in details:
            self.during()
            self.published.append(detail)

    @property
    def ingested(self) -> dict[str, Mapping[str, Any]]:
        first: dict[str, Mapping[str, Any]] = {}
        for detail in self.published:
            first.setdefault(detail["id"], detail)
        return first

    def counted(self) -> Counter[str]:
        """Lines by message, as far as ingest takes them."""
        counts: Counter[str] = Counter()
        for detail in self.ingested.values():
            counts[detail["message"]] += detail["count"]
        return counts


class Ledger:
    """A deployment, its clock, and the logs that it searches."""

    def __init__(self, db: InMemoryDynamoDB, logs: Logs | None = None) -> None:
        self.db = db
        self.logs = logs or Logs()
        self.bus = Bus()
        self.at = float(T)
        self.left = 120.0
        self.marks = LogQueryMarks(client(), "guards")
        self.connect: Callable[[Account], LogsOfAccount] = self.logs.of

    def run(
        self, groups: Sequence[str] = (GROUP,), accounts: Sequence[Account] = (OURS,), interval: int = INTERVAL
    ) -> Searched:
        ends = self.at + self.left
        search = Search(
            marks=self.marks,
            connect=self._connected,
            publish=self.bus.put,
            delay=DELAY,
            clock=lambda: self.at,
            time_left=lambda: ends - self.at,
        )
        service = ServiceConfig(service_name="logs", polling_interval=interval, log_groups=tuple(groups))
        return search.run(accounts, service)

    def _connected(self, account: Account) -> LogsOfAccount:
        return self.connect(account)  # as it is then

    def mark(self, group: str = GROUP, account: Account = OURS) -> Mark:
        target = Target(account.id, account.region, group)
        return self.marks.read([target])[target.id]

    def settle(self) -> None:
        """Everything that was begun is done again, and everything up to now is searched."""
        self.db.faults = iter(())
        self.logs.before = self.bus.during = lambda: None
        for _ in range(3):
            self.at += 1_000
            self.run(interval=30)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with InMemoryDynamoDB(deployed.tables(), attempts=2).installed() as db:
        yield Ledger(db)


def test_errors_are_published_once_those_of_one_shape_together(ledger: Ledger) -> None:
    for second in (400, 300, 200):
        ledger.logs.write(T - second, f"ERROR order {second} failed")
    ledger.logs.write(T - 350, "[INFO] 0 errors")
    ledger.logs.write(T - 100, "ERROR order 100 failed")
    assert vars(ledger.run()) == {"windows": 1, "findings": 1, "failures": 0, "failing": 0}
    assert ledger.bus.counted() == {"ERROR order 200 failed": 3}
    ledger.at += INTERVAL - 1
    assert ledger.run().windows == 0
    ledger.at += 1
    ledger.run()
    assert ledger.bus.counted() == {"ERROR order 200 failed": 3, "ERROR order 100 failed": 1}


def test_a_search_that_finds_nothing_costs_two_writes_and_a_read(ledger: Ledger) -> None:
    ledger.logs.write(T, "later")
    with ledger.db.metered() as used:
        ledger.run()
    assert used.calls == {"BatchGetItem": 1, "PutItem": 2}
    assert used.write_units["guards"] == 2
    with ledger.db.metered() as used:
        ledger.run()
    assert used.calls == {"BatchGetItem": 1}
    assert used.read_units["guards"] == 0.5


def test_every_account_and_every_group_is_searched_by_itself(ledger: Ledger) -> None:
    for account in (OURS, THEIRS):
        for group in ("a", "b"):
            ledger.logs.write(T - 200, "ERROR", group, account)
    ledger.run(["a", "b", "missing"], [OURS, THEIRS])
    where = {(one["account"], one["region"], one["log_group"]) for one in ledger.bus.published}
    assert where == {(account.id, account.region, group) for account in (OURS, THEIRS) for group in ("a", "b")}
    assert len(ledger.bus.ingested) == 4
    assert ledger.mark("missing").until == T - DELAY


def test_an_account_that_cannot_be_reached_holds_up_no_other_and_loses_nothing(ledger: Ledger) -> None:
    def refused(account: Account) -> LogsOfAccount:
        if account is THEIRS:
            raise PermissionError
        return ledger.logs.of(account)

    ledger.connect = refused
    for account in (OURS, THEIRS):
        ledger.logs.write(T - 200, "ERROR", account=account)
    assert vars(ledger.run(accounts=[THEIRS, OURS])) == {"windows": 1, "findings": 1, "failures": 1, "failing": 1}
    ledger.at += 29
    assert ledger.run(accounts=[THEIRS, OURS]).failures == 0, "it waits between its tries"
    ledger.at += 1
    ledger.connect = ledger.logs.of
    assert vars(ledger.run(accounts=[THEIRS, OURS])) == {"windows": 1, "findings": 1, "failures": 0, "failing": 0}
    assert ledger.bus.published[-1]["account"] == THEIRS.id


def test_a_search_that_keeps_failing_is_not_forgotten_and_is_caught_up_with(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR at first")

    def refused(_account: Account) -> LogsOfAccount:
        raise PermissionError

    ledger.connect = refused
    for _ in range(3 * 24):
        ledger.run()
        ledger.at += 3_600
    ledger.logs.write(T + 86_400, "ERROR in the middle")
    ledger.connect = ledger.logs.of
    ledger.run()
    assert ledger.bus.counted() == {"ERROR at first": 1, "ERROR in the middle": 1}
    assert max(window.end - window.start for _, window in ledger.logs.asked) <= 3_600
    assert ledger.at - DELAY - INTERVAL < ledger.mark().until <= ledger.at - DELAY


def slow(ledger: Ledger, longest: int) -> Callable[[], None]:
    """Takes as long as a window has lines: 45 s, the most that a query may, for `longest` seconds of them."""

    def query() -> None:
        _, window = ledger.logs.asked[-1]
        seconds = (window.end - window.start) / longest * LOG_QUERY_SECONDS
        ledger.at += min(seconds, LOG_QUERY_SECONDS)
        if seconds > LOG_QUERY_SECONDS:
            raise QueryFailedError("the query was not through after 45 s")

    return query


@dataclass
class Hours:
    """What the runs of some hours saw, one each minute.

    Attributes:
        behind: seconds that were not searched after each run, of those that could be.
        failing: whether each run left the log group failing.
    """

    behind: list[float]
    failing: list[bool]


def hours(ledger: Ledger, count: int) -> Hours:
    seen = Hours([], [])
    ends = ledger.at + count * 3_600
    while ledger.at < ends:
        done = ledger.run()
        seen.behind.append(ledger.at - DELAY - ledger.mark().until)
        seen.failing.append(done.failing > 0)
        ledger.at += 60 - (ledger.at - T) % 60
    return seen


def test_a_backlog_of_which_a_query_can_do_little_at_a_time_is_caught_up_with(ledger: Ledger) -> None:
    ledger.logs.write(T + 86_400, "ERROR boom")
    ledger.run()
    ledger.at += 2 * 3_600
    ledger.logs.before = slow(ledger, 600)
    first, later = hours(ledger, 1), hours(ledger, 42)
    assert first.behind[-1] < 2 * INTERVAL
    assert max(later.behind) < 2 * INTERVAL
    assert ledger.bus.counted() == {"ERROR boom": 1}


def test_where_a_query_cannot_do_an_interval_searches_stay_within_a_few_of_them(ledger: Ledger) -> None:
    ledger.logs.write(T + 86_400, "ERROR boom")
    ledger.run()
    ledger.logs.before = slow(ledger, 250)
    seen = hours(ledger, 43)
    assert max(seen.behind) < 3 * INTERVAL
    assert ledger.bus.counted() == {"ERROR boom": 1}
    five_minutes = [seen.failing[first : first + 5] for first in range(0, len(seen.failing), 5)]
    assert not any(all(runs) for runs in five_minutes), "it goes on, so that nobody need be told"


def test_a_log_group_that_waits_for_its_next_try_is_still_told_to_fail(ledger: Ledger) -> None:
    def refused(_account: Account) -> LogsOfAccount:
        raise PermissionError

    ledger.logs.write(T - 200, "ERROR")
    ledger.connect = refused
    assert ledger.run().failing == 1
    tried = []
    for _ in range(120):
        ledger.at += 60
        done = ledger.run()
        tried.append(done.failures)
        assert done.failing == 1
    assert sum(tried[-60:]) == 4
    ledger.connect = ledger.logs.of
    ledger.at += 900
    assert ledger.run().failing == 0


def test_a_log_group_that_another_run_is_searching_does_not_fail(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR boom")
    others: list[Searched] = []
    ledger.logs.before = lambda: others.append(ledger.run())
    ledger.run()
    assert [other.failing for other in others] == [0]


def test_a_failure_that_cannot_be_noted_is_told_all_the_same(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR")

    def fails() -> None:
        ledger.db.faults = itertools.repeat(Fault.THROTTLED)
        raise QueryFailedError("the query ended as Failed")

    ledger.logs.before = fails
    done = ledger.run()
    assert (done.failures, done.failing) == (1, 1)


def test_only_a_failure_that_may_be_for_its_length_makes_the_next_window_shorter(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR")

    def fails(error: Exception) -> None:
        raise error

    too_slow = QueryFailedError("the query ended as Timeout")
    for error in (PermissionError(), too_slow, PermissionError(), PermissionError()):
        ledger.logs.before = partial(fails, error)
        ledger.run()
        ledger.at += 900
    assert [window.end - window.start for _, window in ledger.logs.asked] == [300, 1200, 600, 600]


def test_a_window_with_more_rows_than_a_query_gives_is_halved(ledger: Ledger) -> None:
    ledger.logs = Logs(most=10)
    ledger.connect = ledger.logs.of
    for number in range(100):
        ledger.logs.write(T - DELAY - INTERVAL + number * 2.5, "ERROR boom")
    ledger.run()
    assert ledger.bus.counted() == {"ERROR boom": 100}
    assert ledger.mark().until == T - DELAY
    assert ledger.run().windows == 0


def test_a_second_with_more_rows_than_a_query_gives_is_told_as_far_as_it_goes(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.logs = Logs(most=10)
    ledger.connect = ledger.logs.of
    for number in range(30):
        ledger.logs.write(T - 300 + number / 100, "ERROR boom")
    ledger.run()
    assert ledger.bus.counted() == {"ERROR boom": 10}
    assert ledger.mark().until == T - DELAY
    assert "more errors than a query gives" in caplog.text


def test_nothing_is_begun_that_the_time_left_may_not_be_enough_for(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR")
    ledger.left = LOG_QUERY_SECONDS
    assert ledger.run().windows == 0
    ledger.left = 120
    assert ledger.run().windows == 1


def test_the_reason_of_a_failure_is_logged_and_nothing_that_a_log_said(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.logs.write(T - 200, "ERROR password=hunter2")

    def fails() -> None:
        raise QueryFailedError("the query ended as Timeout")

    ledger.bus.during = fails
    assert ledger.run().failures == 1
    (record,) = (record for record in caplog.records if record.message == "logs not searched")
    assert vars(record)["reason"] == "the query ended as Timeout"
    assert "hunter2" not in str([vars(one) for one in caplog.records])


# ---- together, and broken


def test_of_two_runs_at_the_same_time_one_searches(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR boom")
    others: list[Searched] = []

    def another() -> None:
        ledger.logs.before = lambda: None
        others.append(ledger.run())

    ledger.logs.before = another
    assert ledger.run().windows == 1
    assert [other.windows for other in others] == [0]
    assert [one["message"] for one in ledger.bus.published] == ["ERROR boom"]


def test_of_two_runs_that_saw_the_same_mark_one_searches(ledger: Ledger) -> None:
    ledger.logs.write(T - 200, "ERROR boom")
    others: list[Searched] = []

    def another(operation: str) -> None:
        if operation == "PutItem":
            ledger.db.before_request = lambda _: None
            others.append(ledger.run())

    ledger.db.before_request = another
    assert ledger.run().windows == 0
    assert [other.windows for other in others] == [1]
    assert len(ledger.bus.published) == 1


@pytest.mark.parametrize("stalled", ["asking", "publishing"])
def test_a_run_that_outlives_its_lease_publishes_nothing_that_counts_twice(ledger: Ledger, stalled: str) -> None:
    ledger.logs.write(T - 200, "ERROR boom")

    def stalls() -> None:
        ledger.logs.before = ledger.bus.during = lambda: None
        ledger.at += LOG_QUERY_LEASE_SECONDS + 1
        ledger.run()

    if stalled == "asking":
        ledger.logs.before = stalls
    else:
        ledger.bus.during = stalls
    ledger.run()
    assert ledger.bus.counted() == {"ERROR boom": 1}
    assert len(ledger.bus.published) == (1 if stalled == "asking" else 2)


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_ANSWER, Fault.THROTTLED])
@pytest.mark.parametrize("request_number", range(4))
def test_a_crash_or_fault_at_any_request_loses_and_doubles_nothing(
    ledger: Ledger, request_number: int, fault: Fault
) -> None:
    ledger.at = T - INTERVAL
    ledger.run()  # time counts from the first search on
    ledger.at = T
    ledger.logs.write(T - 200, "ERROR boom")
    ledger.logs.write(T - 210, "FATAL bang")
    ledger.db.faults = at_request(request_number, fault)
    if fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}:
        with pytest.raises(CrashError):
            ledger.run()
    else:
        assert ledger.run().windows == 1, "the client sends it again"
    ledger.logs.write(T - 100, "ERROR other")
    ledger.settle()
    assert ledger.bus.counted() == {"ERROR boom": 1, "FATAL bang": 1, "ERROR other": 1}


@pytest.mark.parametrize("published", range(3))
def test_a_crash_while_publishing_loses_and_doubles_nothing(ledger: Ledger, published: int) -> None:
    for number in range(3):
        ledger.logs.write(T - 200 + number, f"ERROR {'abc'[number]}")

    def crash() -> None:
        if len(ledger.bus.published) == published:
            raise CrashError

    ledger.bus.during = crash
    with pytest.raises(CrashError):
        ledger.run()
    ledger.settle()
    assert ledger.bus.counted() == {"ERROR a": 1, "ERROR b": 1, "ERROR c": 1}
    assert len(ledger.bus.published) == 3 + published


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(-200, 2_000), min_size=1, max_size=25))
def test_whatever_fails_or_crashes_every_line_is_counted_once(seed: int, steps: list[int]) -> None:
    chance = random.Random(seed)

    def trouble() -> None:
        match chance.choice(["none", "none", "none", "fails", "crashes"]):
            case "fails":
                raise QueryFailedError("the query ended as Failed")
            case "crashes":
                raise CrashError

    with InMemoryDynamoDB(deployed.tables(), attempts=2).installed() as db:
        ledger = Ledger(db, Logs(most=20))
        written: Counter[str] = Counter()
        first = T - DELAY - INTERVAL
        for number in range(200):
            at = first + chance.uniform(0, 20_000)
            ledger.logs.write(at, f"ERROR {number:b}".translate(str.maketrans("01", "xy")))
            written[ledger.logs.written[OURS.id, GROUP][-1].message] += 1
        ledger.run()  # where it begins
        ledger.logs.before = ledger.bus.during = trouble
        for moved in steps:
            ledger.at += moved
            db.faults = at_random(chance, 0.2)
            with contextlib.suppress(CrashError, Exception):  # the next run goes on
                ledger.run()
        ledger.at = max(ledger.at, T + 21_000)
        ledger.settle()
    assert ledger.bus.counted() == written
