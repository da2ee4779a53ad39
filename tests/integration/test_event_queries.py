"""Monitoring events by the read API: lists, page by page and filtered, and one by its id."""

import base64
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.monitoring_events import event_id
from infra.rest import size_in_answer
from infra.views import EVENT_DAYS, EVENT_SHARDS, Row, event_partition, shown_event
from queries import monitoring_events
from tests.integration.read_api import Api, directions, ids, turned

if TYPE_CHECKING:
    from domain.commit import Commit
    from tests.integration.conftest import Calls

Items = Callable[[], dict[tuple[str, str], dict[str, Any]]]

UUID = "11111111-2222-4333-8444-555555555555"
TODAY = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
def several_days(asked: Api) -> list[str]:
    """24 events over six of eight days, on the first and last second of days and twice in one second; newest first."""
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    moments = [midnight + timedelta(seconds=offset) for offset in (-86_400 * 2, -2, -1, 0, 0, 1, 2)]
    moments += [midnight + timedelta(days=2, minutes=minute) for minute in (0, 0, 0, 1, 2, 3, 719, 1439)]
    moments += [midnight + timedelta(days=3, hours=hour) for hour in range(8)]
    moments += [midnight + timedelta(days=5, hours=23, minutes=59, seconds=59)]
    commits = [asked.history.event(moment) for moment in reversed(moments[::2] + moments[1::2])]
    asked.project()
    return sorted((id_of(commit) for commit in commits), reverse=True)


def id_of(commit: "Commit") -> str:
    published_at = json.loads(commit.encoded)[0]["d"]["published_at"]
    return event_id(published_at, commit.stream.partition("#")[2])


def test_walking_the_pages_gives_each_event_once_in_order(
    asked: Api, several_days: list[str], subtests: pytest.Subtests
) -> None:
    for direction, query in directions(1, 2, 3, 5, 7, 23, 24, 25, 200):
        with subtests.test(**query):
            limit = int(query["limit"])
            pages = asked.walk("/events", "bob", **query)

            assert ids(pages) == turned(several_days, direction)
            assert all(len(page) == limit for page in pages[:-1])
            assert 0 < len(pages[-1]) <= limit


def test_events_come_newest_first_unless_asked_otherwise(asked: Api, several_days: list[str]) -> None:
    assert ids(asked.walk("/events")) == several_days


def test_a_page_that_reaches_its_budget_ends_early_and_says_where_to_go_on(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    for budget in (1, 2, 4):
        monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", budget)
        for direction, query in directions(4, 200):
            with subtests.test(budget=budget, **query):
                pages = asked.walk("/events", **query)

                assert ids(pages) == turned(several_days, direction)
                assert any(len(page) < int(query["limit"]) for page in pages[:-1])


def test_a_page_costs_no_more_queries_than_its_budget(
    asked: Api, several_days: list[str], calls: "Calls", monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [row.sk for row in Row.query(EVENT_DAYS)]
    most_of_a_day = max(Counter(sk.partition("#")[0] for sk in shards).values())
    monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", 2)
    calls.clear()

    pages = asked.walk("/events")

    assert ids(pages) == several_days
    # One for the days, and a day is read whole, however many shards it has.
    assert 0 < calls.operations.count("Query") <= len(pages) * (1 + max(2, most_of_a_day))
    assert len(pages) > 1


def test_days_whose_events_expired_are_passed_over(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    gone = {"2026-03-05", "2026-03-08"}
    for row in Row.query(EVENT_DAYS):
        day, shard, _ = row.sk.split("#")
        for expired in Row.query(event_partition(day, int(shard))) if day in gone else ():
            expired.delete()
    kept = [shown_id for shown_id in several_days if day_of(shown_id) not in gone]
    monkeypatch.setattr(monitoring_events, "MAX_PARTITIONS", 2)

    assert 0 < len(kept) < len(several_days)
    for direction, query in directions(3, 200):
        with subtests.test(**query):
            assert ids(asked.walk("/events", **query)) == turned(kept, direction)


def day_of(shown_id: str) -> str:
    return str(datetime.fromtimestamp(int(shown_id.partition("-")[0]), UTC).date())


@pytest.mark.parametrize("direction", ["desc", "asc"])
def test_a_page_ends_at_its_size_but_holds_one_event_at_least(
    asked: Api, several_days: list[str], monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    one = max(size_in_answer(event) for event in asked.get("/events", limit="200").body["items"])
    monkeypatch.setattr(monitoring_events, "MAX_PAGE_BYTES", 1)
    assert [len(page) for page in asked.walk("/events", direction=direction)] == [1] * len(several_days)

    monkeypatch.setattr(monitoring_events, "MAX_PAGE_BYTES", 3 * one)
    pages = asked.walk("/events", direction=direction)
    assert ids(pages) == turned(several_days, direction)
    assert all(3 <= len(page) <= 4 for page in pages[:-1])


def test_an_event_that_arrives_between_two_pages_shifts_nothing(asked: Api, several_days: list[str]) -> None:
    first = asked.get("/events", limit="10").body
    newest = asked.history.event(TODAY)
    older = asked.history.event(datetime(2026, 3, 1, 1, tzinfo=UTC))
    asked.project()

    rest = asked.get("/events", limit="200", cursor=first["next"]).body

    assert ids([first["items"], rest["items"]]) == [*several_days[:-1], id_of(older), several_days[-1]]
    assert ids(asked.walk("/events"))[0] == id_of(newest)


def test_no_events_are_an_empty_list(asked: Api) -> None:
    assert asked.get("/events").body == {"items": [], "next": None, "stopped_after": None}


def test_an_event_is_shown_with_its_detail(asked: Api) -> None:
    commit = asked.history.event(TODAY, {"deep": [{"ü": None}]}, severity=5, resource="arn:x", title="A <b> & \u2028")
    asked.project()

    answered = asked.get(f"/events/{id_of(commit)}", "bob")

    assert answered.status == 200
    assert answered.headers["ETag"] == '"1"'
    assert answered.body == asked.get("/events").body["items"][0]
    assert {name: answered.body[name] for name in ("id", "severity", "resource", "title", "detail", "state")} == {
        "id": id_of(commit),
        "severity": 5,
        "resource": "arn:x",
        "title": "A <b> & \u2028",
        "detail": {"deep": [{"ü": None}]},
        "state": "open",
    }
    assert answered.body["published_at"] == int(TODAY.timestamp())
    assert answered.body["updated_at"] == int(commit.at.timestamp())
    assert answered.body["expired_at"] == commit.expires_at


ODD_EVENT_IDS = [
    UUID,
    "1",
    "abc",
    "-",
    f"-5-{UUID}",
    f"1-{UUID}",
    f"abc-{UUID}",
    f"1.5-{UUID}",
    f"\u0661-{UUID}",  # a digit, but none of ASCII
    f"999999999999-{UUID}",
    f"253402300800-{UUID}",  # the year 10,000
    f"{'9' * 30}-{UUID}",
    f"1-{'x' * 36}",
    "1-" + "\u00e4" * 36,
    "9" * 5_000,
    "1772355600-" + "0" * 3_000,
]


@pytest.mark.usefixtures("several_days")
def test_an_id_of_no_event_is_not_found(asked: Api) -> None:
    assert {odd[:50]: asked.get(f"/events/{odd}").status for odd in ODD_EVENT_IDS} == {
        odd[:50]: 404 for odd in ODD_EVENT_IDS
    }


def test_expired_events_are_not_shown_though_their_rows_are_still_there(
    asked: Api, several_days: list[str], subtests: pytest.Subtests
) -> None:
    gone = several_days[::2]
    for row in list(Row.scan(Row.sk.exists())):
        if row.pk.startswith("event#") and shown_event(row)["id"] in gone:
            row.update(actions=[Row.ttl.set(1)])

    for direction, query in directions(3, 200):
        with subtests.test(**query):
            assert ids(asked.walk("/events", **query)) == turned(several_days[1::2], direction)
    assert asked.get(f"/events/{gone[0]}").status == 404
    assert asked.get(f"/events/{several_days[1]}").status == 200


def test_an_event_is_found_by_its_whole_id_only(asked: Api, several_days: list[str]) -> None:
    seconds, _, uuid = several_days[3].partition("-")

    assert asked.get(f"/events/{seconds}-{uuid}").status == 200
    assert asked.get(f"/events/{int(seconds) + 1}-{uuid}").status == 404
    assert asked.get(f"/events/{seconds}-{UUID}").status == 404


# ---- filters

MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
FACTS: Mapping[str, tuple[Any, ...]] = {
    "source": ("aws.health", "aws.guardduty", "monitoring.#odd ~ source"),
    "severity": (0, 3, 5),
    "account": ("123456789012", "000000000001", None),
    "region": ("eu-central-1", "us-east-1"),
    "detail_type": ("AWS Health Event", "GuardDuty Finding"),
}


@pytest.fixture
def varied(asked: Api) -> Api:
    """60 events of eight days, of every kind."""
    chance = random.Random(1)
    for n in range(60):
        facts = {name: chance.choice(values) for name, values in FACTS.items()}
        asked.history.event(MIDNIGHT + timedelta(seconds=n * 10_007 % (8 * 86_400) // 3_600 * 3_600), **facts)
    asked.project()
    return asked


def takes(query: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """What the filters mean, said once more."""
    return (
        all(event[name] == value for name, value in query.items() if name in FACTS)
        and event["severity"] >= query.get("min_severity", 0)
        and query.get("published_from", 0) <= event["published_at"] < query.get("published_to", 10**12)
    )


SECONDS = st.integers(-3_600, 8 * 86_400 + 3_600).map(
    lambda offset: int(MIDNIGHT.timestamp()) + offset // 1_800 * 1_800
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from([value for value in values if value is not None]) for name, values in FACTS.items()},
        "min_severity": st.integers(0, 5),
        "published_from": SECONDS,
        "published_to": SECONDS,
    },
).filter(lambda query: query.get("published_from", 0) < query.get("published_to", 10**12))


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes minutes here
)
@given(
    query=FILTERS,
    limit=st.sampled_from([2, 7, 60]),
    direction=st.sampled_from(["asc", "desc"]),
    rows=st.sampled_from([5, 20, 2_000]),
    partitions=st.sampled_from([1, 20, 64]),
)
def test_every_filter_gives_each_event_it_takes_once_in_order_whatever_the_budgets(
    varied: Api, *, query: dict[str, Any], limit: int, direction: str, rows: int, partitions: int
) -> None:
    everything = [event for page in varied.walk("/events") for event in page]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitoring_events, "MAX_PAGE_ROWS", rows)
        patch.setattr(monitoring_events, "MAX_PARTITIONS", partitions)
        asked_for = {name: str(value) for name, value in query.items()}
        pages = varied.walk("/events", limit=str(limit), direction=direction, **asked_for)

    assert len(everything) == 60
    assert ids(pages) == turned([event["id"] for event in everything if takes(query, event)], direction)
    assert all(len(page) <= limit for page in pages)


@pytest.mark.parametrize("start", [MIDNIGHT - timedelta(seconds=2), MIDNIGHT, MIDNIGHT + timedelta(hours=12)])
def test_a_range_of_time_holds_its_first_second_and_not_its_last(asked: Api, start: datetime) -> None:
    commits = [asked.history.event(start + timedelta(seconds=n)) for n in range(-1, 5)]
    asked.project()
    first = int(start.timestamp())

    found = asked.walk("/events", published_from=str(first), published_to=str(first + 3), direction="asc")

    assert ids(found) == [id_of(commit) for commit in commits[1:4]]


def test_a_search_ends_at_its_budget_says_so_and_goes_on_after_what_it_read(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring_events, "MAX_PAGE_ROWS", 10)
    for n in range(25):
        asked.history.event(MIDNIGHT + timedelta(minutes=n), severity=5 if n in {1, 24} else 0)
    asked.project()

    first = asked.get("/events", severity="5").body
    second = asked.get("/events", severity="5", cursor=first["next"]).body
    third = asked.get("/events", severity="5", cursor=second["next"]).body

    assert [len(page["items"]) for page in (first, second, third)] == [1, 0, 1]
    assert [page["stopped_after"] for page in (first, second, third)] == [10, 10, None]
    assert third["next"] is None
    assert asked.get("/events", severity="5", limit="1").body["stopped_after"] is None  # the page was full before


def test_a_search_costs_the_same_however_many_days_and_events_there_are(asked: Api, calls: "Calls") -> None:
    """The list of days is read in pages, a range of time reads its own days only, and a full page ends the search."""
    for day in range(40):
        for minute in range(2):
            asked.history.event(MIDNIGHT + timedelta(days=day, minutes=minute), severity=day % 6)
    asked.project()
    start = int((MIDNIGHT + timedelta(days=20)).timestamp())
    range_of_a_day = {"published_from": str(start), "published_to": str(start + 86_400)}
    calls.clear()
    found = asked.get("/events", **range_of_a_day, min_severity="1").body["items"]
    of_a_day = [request["TableName"] for operation, request in calls if operation == "Query"]
    calls.clear()
    asked.get("/events", limit="1", severity="3")
    of_a_full_page = calls.operations.count("Query")

    assert len(found) == 2
    assert 2 <= len(of_a_day) <= 1 + 2  # the days, and a query for each shard that has events of that day
    assert of_a_full_page <= 1 + 2 * 6


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"published_from": "-1"}, "published_from"),
        ({"published_from": "yesterday"}, "published_from"),
        ({"published_from": "1e9"}, "published_from"),
        ({"published_to": "253402300800"}, "published_to"),
        ({"published_to": "9" * 30}, "published_to"),
        ({"published_from": "100", "published_to": "100"}, "published_to"),
        ({"published_from": "101", "published_to": "100"}, "published_to"),
        ({"severity": "6"}, "severity"),
        ({"severity": "-1"}, "severity"),
        ({"severity": "high"}, "severity"),
        ({"min_severity": "6"}, "min_severity"),
        ({"source": ""}, "source"),
        ({"source": "s" * 301}, "source"),
        ({"account": "\ud800"}, "account"),
        ({"sources": "aws.health"}, "sources"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(asked: Api, query: dict[str, str], field: str) -> None:
    answered = asked.get("/events", **query)

    assert (answered.status, [fault["field"] for fault in answered.body["errors"]]) == (422, [field])


@pytest.mark.parametrize(
    "query",
    [
        {"published_from": "0"},
        {"published_to": "0"},
        {"published_from": "253402300799"},
        {"published_from": "0", "published_to": "253402300799"},
        {"source": "\u0000'\"#~ \U0001f4a9"},
        {"account": "-", "region": "#", "detail_type": "*"},
    ],
)
def test_a_filter_of_odd_but_possible_values_finds_what_there_is(varied: Api, query: dict[str, str]) -> None:
    answered = varied.get("/events", limit="200", **query)

    everything = query.keys() <= {"published_from", "published_to"} and query.get("published_from") == "0"
    assert (answered.status, len(answered.body["items"])) == (200, 60 if everything else 0)


def test_a_cursor_serves_its_own_filters_only(varied: Api, subtests: pytest.Subtests) -> None:
    queries: list[dict[str, str]] = [
        {},
        {"severity": "3"},
        {"min_severity": "3"},
        {"source": "aws.health"},
        {"published_from": "1"},
        {"published_to": "2000000000"},
        {"published_from": "1", "source": "aws.health"},
    ]
    cursors = [varied.get("/events", limit="1", **query).body["next"] for query in queries]

    for (place, query), (of, cursor) in itertools.product(enumerate(queries), enumerate(cursors)):
        with subtests.test(query=query, cursor_of=queries[of]):
            answered = varied.get("/events", limit="5", cursor=cursor, **query)
            assert answered.status == (200 if place == of else 422)


def test_a_cursor_made_up_with_care_stays_in_the_range(varied: Api, subtests: pytest.Subtests) -> None:
    start, end = (int(MIDNIGHT.timestamp()) + day * 86_400 for day in (2, 4))
    for direction in ("asc", "desc"):
        query = {"published_from": str(start + 43_201), "published_to": str(end - 43_201), "direction": direction}
        cursor = varied.get("/events", limit="1", **query).body["next"]
        name, ascending, *_ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        days = ("0", "2026-03-05", "2026-03-06", "2026-03-09", "no day", "~")
        for day, place in itertools.product(days, ("0", "no event", "~")):
            with subtests.test(direction=direction, day=day, place=place):
                made_up = (
                    base64.urlsafe_b64encode(json.dumps([name, ascending, day, place]).encode()).decode().rstrip("=")
                )
                answered = varied.get("/events", cursor=made_up, **query)
                assert answered.status == 200
                assert all(start + 43_201 <= event["published_at"] < end - 43_201 for event in answered.body["items"])


# ---- the days that have events


def days_shown(items: Items) -> list[tuple[str, int]]:
    return sorted((sk, int(item["ttl"]["N"])) for (pk, sk), item in items().items() if pk == EVENT_DAYS)


def test_a_day_is_marked_until_the_last_of_its_events_has_expired(asked: Api, view_items: Items) -> None:
    expiries = [asked.history.event(MIDNIGHT).expires_at or 0]
    asked.history.now += timedelta(days=3)  # the next one is late
    expiries.append(asked.history.event(MIDNIGHT).expires_at or 0)
    asked.project()

    untils = [until for _, until in days_shown(view_items)]

    assert all(expires < until <= expires + 86_400 for expires, until in zip(expiries, sorted(untils), strict=True))


def test_a_batch_marks_a_day_once_whatever_the_order_and_the_repeats(asked: Api, view_items: Items) -> None:
    for n in range(100):
        asked.history.event(MIDNIGHT + timedelta(seconds=n))
    asked.project()
    marked = days_shown(view_items)
    asked.history.commits.reverse()
    asked._done = 0

    asked.project()

    assert days_shown(view_items) == marked
    assert len(marked) <= EVENT_SHARDS
    assert {sk.partition("#")[0] for sk, _ in marked} == {"2026-03-03"}


def test_days_that_are_over_are_not_looked_into(asked: Api, several_days: list[str], calls: "Calls") -> None:
    newest = max(row.sk for row in Row.query(EVENT_DAYS)).partition("#")[0]
    for row in list(Row.query(EVENT_DAYS)):
        if not row.sk.startswith(newest):
            row.update(actions=[Row.ttl.set(int(time.time()) - 1)])
    calls.clear()

    assert ids(asked.walk("/events", direction="asc")) == several_days[:1]
    assert calls.operations == ["Query", "Query"]


def test_units_that_a_hundred_events_of_a_batch_cost(asked: Api, calls: "Calls") -> None:
    """2 for each small item of a transaction (DynamoDB, read/write capacity mode): rows, counters, marks of days."""
    for n in range(100):
        asked.history.event(MIDNIGHT + timedelta(seconds=n), source=f"aws.source-{n % 5}", severity=n % 3)
    calls.clear()

    asked.project()

    items = [item for name, request in calls if name == "TransactWriteItems" for item in request["TransactItems"]]
    assert len(items) > 100
    assert 2 * len(items) / 100 <= 3
