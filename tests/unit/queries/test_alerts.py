"""Alerts by the read API: lists, page by page and filtered, and one by its id with the events about it."""

import random
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.alerts import (
    ALERTS,
    Alert,
    AlertNoticed,
    AlertRecurred,
    AlertSeverityChanged,
    AlertState,
    AlertTaskLinked,
    Ending,
    Face,
)
from domain.alerts import alert_id as alert_id_of
from domain.judgement import Judgement, Verdict
from domain.monitoring_events import MonitoringEventRecorded, event_id
from infra.alert_keys import SHARDS, alerts_partition
from infra.views import Row
from queries import read_your_write, search
from tests.in_memory.dynamodb import InMemoryDynamoDB
from tests.integration.conftest import History, mapped
from tests.integration.read_api import Api, directions, ids, turned
from tests.unit.queries.alerts_told import FACE, acknowledge, open_alert, reopened, resolve, seen, snooze

SOURCES = ("aws.cloudwatch", "aws.guardduty", "odd#source")
ACCOUNTS = ("1" * 12, "2" * 12)
FOR_EVER = datetime(2999, 1, 1, tzinfo=UTC)
OVER = datetime(2026, 3, 2, tzinfo=UTC)


# ---- lists


def lived(history: History, chance: random.Random, alerts: int) -> None:
    """Alerts of all kinds, and what happened to them."""
    for number in range(alerts):
        face = {"source": chance.choice(SOURCES), "account": chance.choice(ACCOUNTS)}
        open_alert(history, f"{number:02}", severity=chance.randrange(6), **face)
    for _ in range(3 * alerts):
        alert_id = f"{chance.randrange(alerts):02}"
        match chance.randrange(6):
            case 0:
                acknowledge(history, alert_id)
            case 1:
                snooze(history, alert_id, chance.choice([OVER, FOR_EVER]))
            case 2 | 3:
                resolve(history, alert_id)
            case 4:
                history.append(f"alert#{alert_id}", reopened(chance.randrange(6)))
            case 5:
                history.append(f"alert#{alert_id}", AlertSeverityChanged(old=0, new=chance.randrange(6)))


def alerts_of(history: History) -> dict[str, Alert]:
    """Each alert as a replay leaves it."""
    found: dict[str, Alert] = {}
    for commit in sorted(history.commits, key=lambda commit: commit.version):
        for recorded in commit.recorded():
            alert_id = commit.stream.partition("#")[2]
            found[alert_id] = ALERTS.evolve(found.get(alert_id), recorded)
    return found


def expected(history: History, filters: Mapping[str, str]) -> list[str]:
    """The ids that a list of these filters has, newest first."""
    state = filters.get("state", "open")

    def takes(alert: Alert) -> bool:
        facts = {
            "severity": str(alert.severity),
            "source": alert.face.source,
            "account": alert.face.account,
            "acknowledged": "true" if alert.acknowledged_at else "false",
            "snoozed": "true" if alert.snoozed_until == FOR_EVER else "false",
        }
        exact = {name: value for name, value in filters.items() if name in facts}
        return alert.severity >= int(filters.get("min_severity", 0)) and exact.items() <= facts.items()

    taken = [
        ((alert.opened_at if state == "open" else alert.resolved_at), alert_id)
        for alert_id, alert in alerts_of(history).items()
        if alert.state == state and takes(alert)
    ]
    return [alert_id for _, alert_id in sorted(taken, reverse=True)]


FILTERS: list[dict[str, str]] = [
    {},
    {"state": "open"},
    {"state": "resolved"},
    {"severity": "3"},
    {"min_severity": "2"},
    {"min_severity": "4", "state": "resolved"},
    {"severity": "1", "min_severity": "2"},
    {"source": "odd#source"},
    {"source": "aws.nothing"},
    {"account": ACCOUNTS[1], "severity": "0"},
    {"acknowledged": "false"},
    {"acknowledged": "true", "state": "resolved"},
    {"snoozed": "true"},
    {"snoozed": "false", "acknowledged": "false", "source": "aws.guardduty"},
]


@pytest.mark.parametrize("seed", range(4))
def test_every_list_holds_the_alerts_that_its_filters_take_each_once_in_order(
    asked: Api, subtests: pytest.Subtests, seed: int
) -> None:
    chance = random.Random(seed)
    lived(asked.history, chance, 30)
    chance.shuffle(asked.history.commits)
    asked.project()

    for filters in FILTERS:
        wanted = expected(asked.history, filters)
        for direction, query in directions(3, 200):
            with subtests.test(**filters, **query):
                pages = asked.walk("/alerts", "bob", **filters, **query)
                assert ids(pages) == turned(wanted, direction)
                assert all(len(page) == int(query["limit"]) for page in pages[:-1])


def test_a_recurrence_moves_no_alert_to_another_place(asked: Api) -> None:
    for name in "abc":
        open_alert(asked.history, name)
    asked.project()
    before = asked.get("/alerts").body["items"]
    asked.history.append("alert#a", AlertRecurred(seen=seen(order=2)))
    asked.project()

    after = asked.get("/alerts").body["items"]

    assert ids([before]) == ids([after]) == ["c", "b", "a"]
    assert [alert["count"] for alert in after] == [1, 1, 2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "unopened"),
        ("state", ""),
        ("severity", "6"),
        ("min_severity", "-1"),
        ("source", ""),
        ("account", "x" * 301),
        ("acknowledged", "yes"),
        ("snoozed", "1"),
        ("stat", "open"),
        ("cursor", "x"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(asked: Api, name: str, value: str) -> None:
    answered = asked.get("/alerts", **{name: value})
    assert answered.status == 422
    assert [fault["field"] for fault in answered.body["errors"]] == [name]


def test_a_cursor_is_of_one_list_only(asked: Api) -> None:
    for name in "abc":
        open_alert(asked.history, name)
    asked.project()
    cursor = asked.get("/alerts", limit="1").body["next"]

    assert asked.get("/alerts", limit="1", cursor=cursor).status == 200
    assert asked.get("/alerts", limit="1", cursor=cursor, state="resolved").status == 422


# ---- what a page costs


def calls(db: InMemoryDynamoDB, asked: Api, **query: str) -> Mapping[str, int]:
    asked.get("/alerts", **query)  # the process knows now which generations are live
    with db.metered() as used:
        assert asked.get("/alerts", **query).status == 200
    return used.calls


def test_a_page_costs_the_same_with_ten_times_as_many_alerts(db: InMemoryDynamoDB, asked: Api) -> None:
    queries = [{}, {"severity": "3"}, {"min_severity": "3"}, {"source": "aws.s1"}]
    limits = [{"limit": "20", **query} for query in queries]
    costs = []
    for count in (100, 900):
        there = len(asked.history.commits)
        for number in range(there, there + count):
            open_alert(asked.history, f"{number:04}", severity=2 + number % 3, source=f"aws.s{number // 7 % 2}")
        asked.project()
        costs.append([calls(db, asked, **query) for query in limits])

    # One for the severities that there are; four for each of them, again for a part that holds more than its share.
    assert [cost["Query"] for cost in costs[1]] == [13, 4, 9, 13]
    assert [cost["BatchGetItem"] for cost in costs[1]] == [1, 1, 1, 2]
    assert all(few["Query"] >= many["Query"] for few, many in zip(*costs, strict=True))


def test_severities_that_no_open_alert_has_are_not_asked_for(db: InMemoryDynamoDB, asked: Api) -> None:
    assert calls(db, asked) == {"Query": 1}
    open_alert(asked.history, "a", severity=5)
    asked.project()
    assert calls(db, asked) == {"Query": 1 + SHARDS, "BatchGetItem": 1}
    assert calls(db, asked, source="aws.other") == {"Query": 1}
    assert calls(db, asked, severity="1") == {"Query": SHARDS}
    assert calls(db, asked, state="resolved") == {"Query": 6 * SHARDS}


def test_a_search_that_has_read_enough_ends_early_and_says_where_to_go_on(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        open_alert(asked.history, f"{number:02}", account=ACCOUNTS[number in {3, 28}])
    asked.project()
    monkeypatch.setattr(search, "MAX_PAGE_ROWS", 10)

    first = asked.get("/alerts", account=ACCOUNTS[1]).body

    assert (ids([first["items"]]), first["stopped_after"]) == (["28"], 10)
    assert ids(asked.walk("/alerts", account=ACCOUNTS[1])) == ["28", "03"]


def test_what_a_search_leaves_out_is_not_fetched(db: InMemoryDynamoDB, asked: Api) -> None:
    for number in range(40):
        open_alert(asked.history, f"{number:02}", account=ACCOUNTS[0])
    asked.project()
    assert calls(db, asked, account=ACCOUNTS[1], severity="3") == {"Query": SHARDS}


# ---- one alert


def test_an_alert_is_shown_with_the_names_of_those_who_dealt_with_it(asked: Api) -> None:
    history = asked.history
    history.user("ann", "Ann Example")
    opened = open_alert(history, "a", severity=4, resource="arn:x", console_url="https://console", tags={"team": "x"})
    acknowledged = acknowledge(history, "a", by="ann")
    snooze(history, "a", FOR_EVER, by="gone")
    history.append("alert#a", AlertTaskLinked(task_id="t1"))
    last = resolve(history, "a", Ending.PERSON, by="ann")
    asked.project()

    answered = asked.get("/alerts/a", "bob")

    assert (answered.headers["ETag"], answered.headers["Stream-Version"]) == ('"5"', "alert#a@5")
    assert answered.body == {
        "id": "a",
        "fingerprint": "alarm:a",
        "state": "resolved",
        **FACE,
        "region": None,
        "resource": "arn:x",
        "severity": 4,
        "status": None,
        "console_url": "https://console",
        "quiet": None,
        "tags": {"team": "x"},
        "count": 1,
        "first_seen": 1772366400,
        "last_seen": 1772366400,
        "openings": 1,
        "opened_at": int(opened.at.timestamp()),
        "acknowledged_at": int(acknowledged.at.timestamp()),
        "acknowledged_by": {"id": "ann", "name": "Ann Example"},
        "snoozed_until": int(FOR_EVER.timestamp()),
        "snoozed_by": {"id": "gone", "name": None},
        "resolved_at": int(last.at.timestamp()),
        "resolved_by": {"id": "ann", "name": "Ann Example"},
        "ending": "person",
        "task_ids": ["t1"],
        "config_version": 4,
        "created_at": int(opened.at.timestamp()),
        "updated_at": int(last.at.timestamp()),
        "version": 5,
        "events": [],
    }
    listed = asked.get("/alerts", "bob", state="resolved").body["items"]
    assert [{**alert, "events": []} for alert in listed] == [answered.body]


def test_an_alert_that_never_opened_is_not_found(asked: Api) -> None:
    asked.history.append(
        "alert#a", AlertNoticed(fingerprint="f", seen=seen(), face=Face(**FACE), waiting=((1, 1),)), by="system:ingest"
    )
    asked.project()

    assert {
        path: asked.get(path).status for path in ("/alerts/a", "/alerts/b", "/alerts/%C3%A4", "/alerts/" + "9" * 500)
    } == {
        "/alerts/a": 404,
        "/alerts/b": 404,
        "/alerts/%C3%A4": 404,
        "/alerts/" + "9" * 500: 404,
    }
    assert asked.get("/alerts").body == {"items": [], "next": None, "stopped_after": None}


def judged_event(history: History, order: int, expires_in: int = 86_400, **judged: Any) -> str:
    """A monitoring event that was judged. Its time says nothing of its order."""
    published_at = 1772366400 + order * 37 % 11
    stream_id = str(uuid.uuid4())
    recorded = MonitoringEventRecorded(
        mapped=mapped(order=order, title=f"no. {order}", status="ALARM", tags={"team": "x"}),
        judged=Judgement(**{"verdict": Verdict.PROBLEM, "severity": 5, "config": 7, **judged}) if judged else None,
        published_at=published_at,
        expires_at=int(time.time()) + expires_in,
        raw={"detail": {}},
    )
    history.append(f"event#{stream_id}", recorded, by="system:ingest")
    return event_id(published_at, stream_id)


def test_an_alert_is_shown_with_the_last_events_about_it_in_their_source_s_order(
    db: InMemoryDynamoDB, asked: Api
) -> None:
    names = [judged_event(asked.history, order, config=7) for order in range(5)]
    expired = judged_event(asked.history, 5, expires_in=1_000_000, config=7)
    chosen = [*names, expired, "1772366400-" + str(uuid.UUID(int=0))]
    open_alert(asked.history, "a", *(AlertRecurred(seen=seen(name)) for name in chosen))
    asked.project()
    row = next(row for row in Row.scan(Row.pk.contains("event#")) if row.sk.endswith(expired.partition("-")[2]))
    row.update(actions=[Row.ttl.set(int(time.time()) - 1)])

    asked.get("/alerts/a")
    with db.metered() as used:
        events = asked.get("/alerts/a").body["events"]

    assert ids([events]) == names[::-1]
    assert events[0] == {
        "id": names[4],
        "title": "no. 4",
        "severity": 5,
        "state": "open",
        "status": "ALARM",
        "verdict": "problem",
        "published_at": int(names[4].partition("-")[0]),
    }
    assert used.calls == {"BatchGetItem": 2}


# ---- reading what one wrote


def test_a_list_shows_the_alert_that_was_waited_for_as_it_is(asked: Api) -> None:
    """Whatever a pointer says that was read a moment too early."""
    for name in "abc":
        open_alert(asked.history, name)
    asked.project()
    partitions = [alerts_partition(AlertState.OPEN, 3, shard) for shard in range(SHARDS)]
    stale = next(row for pk in partitions for row in Row.query(pk) if row.sk.endswith("#b"))
    last = resolve(asked.history, "b")
    asked.project()
    fresh = asked.get("/alerts", state="resolved").body["items"]
    stale.save()  # it is still there to a reader that lags

    version = f"{last.stream}@{last.last_version}"

    assert ids([asked.get("/alerts", min_version=version).body["items"]]) == ["c", "a"]
    assert asked.get("/alerts", state="resolved", min_version=version).body["items"] == fresh
    assert ids([fresh]) == ["b"]
    assert asked.get("/alerts/b", min_version=version).body["state"] == "resolved"
    for pk in [alerts_partition(AlertState.RESOLVED, 3, shard) for shard in range(SHARDS)]:
        for row in Row.query(pk):
            row.delete()
    assert ids([asked.get("/alerts", state="resolved", min_version=version).body["items"]]) == ["b"]


def test_a_version_that_does_not_come_is_a_matter_of_trying_again(asked: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_your_write, "READ_YOUR_WRITE_SECONDS", 0)
    open_alert(asked.history, "a")
    asked.project()

    for path in ("/alerts", "/alerts/a"):
        assert asked.get(path, min_version="alert#a@1").status == 200
        assert asked.get(path, min_version="alert#a@2").status == 503
        assert asked.get(path, min_version="task#a@1").status == 422


# ---- what refers to alerts


def test_an_event_shows_what_was_made_of_it(asked: Api) -> None:
    taken = judged_event(asked.history, 1, config=7)
    left = judged_event(asked.history, 2, verdict=Verdict.FILTERED, severity=0)
    unjudged = judged_event(asked.history, 3)
    asked.project()
    shown = {name: asked.get(f"/events/{name}").body for name in (taken, left, unjudged)}

    made_of_it = {
        name: [event[field] for field in ("severity", "verdict", "config_version", "alert_id")]
        for name, event in shown.items()
    }
    assert made_of_it == {
        taken: [5, "problem", 7, alert_id_of("f")],
        left: [0, "filtered", 7, None],
        unjudged: [3, None, None, None],
    }
    assert shown[taken]["tags"] == {"team": "x"}
    assert sorted(event["severity"] for event in asked.get("/events").body["items"]) == [0, 3, 5]
    assert ids([asked.get("/events", severity="5").body["items"]]) == [taken]


def test_the_tasks_of_an_alert_are_a_list_that_costs_one_query(db: InMemoryDynamoDB, asked: Api) -> None:
    due = datetime.now(UTC) + timedelta(days=1)
    asked.history.task("1", alert_id="a", by="bob")
    asked.history.task("2", alert_id="b", by="bob", due_date=due)
    asked.history.task("3", alert_id="a", by="ann", assigned_user_id="bob", due_date=due)
    asked.history.task("4", by="bob", due_date=due)
    asked.project()

    assert ids(asked.walk("/tasks", alert_id="a")) == ["3", "1"]
    assert ids(asked.walk("/tasks", "cat", alert_id="a")) == []
    assert ids(asked.walk("/tasks", "bob", alert_id="a", assigned_user_id="bob")) == ["3"]
    assert ids(asked.walk("/tasks", alert_id="a", sort="due_date")) == ["3"]
    assert ids(asked.walk("/tasks", alert_id="a", event_id="1-x")) == []
    assert asked.get("/tasks", alert_id="a#b").status == 422
    with db.metered() as used:
        assert asked.get("/tasks", alert_id="a").body["items"][0]["alert_id"] == "a"
    assert used.calls["Query"] == 1
