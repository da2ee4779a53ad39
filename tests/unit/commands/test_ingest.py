"""Ingest: what comes from the queue becomes one monitoring event each, and nothing holds up the others."""

import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from commands import ingest
from commands.execution import Order, execute
from domain.alerts import ALERTS, Alert, AlertState, alert_id
from domain.commit import GENESIS, Commit, chain_hash, sealed
from domain.decider import fold
from domain.judgement import Verdict
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, ServiceConfig, defaults, replace
from domain.monitoring_events import MONITORING_EVENTS, MonitoringEvent, MonitoringEventRecorded
from domain.sources.envelope import parse
from domain.sources.mapping import State
from domain.sources.splitting import split
from infra import clients
from infra.event_store import GuardWrite
from infra.memory_event_store import MemoryEventStore

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aws"
SENT_AT = datetime(2026, 4, 1, 12, 0, 0, 500_000, tzinfo=UTC)
DAY = 86_400

Invoke = Callable[..., list[str]]


class Queue:
    """Stands for SQS: notes what is given back, and when it is to be seen again."""

    def __init__(self) -> None:
        self.given_back: list[tuple[str, str, int]] = []
        self.fails = False

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803 - boto3's names
        if self.fails:
            raise ClientError({"Error": {"Code": "RequestThrottled"}}, "ChangeMessageVisibility")
        self.given_back.append((QueueUrl, ReceiptHandle, VisibilityTimeout))


class Store(MemoryEventStore):
    """Fails as a throttled table does for what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_for: set[str] = set()
        self.appends = 0

    def append(self, commit: Commit, guards: Sequence[GuardWrite] = ()) -> None:
        self.appends += 1
        if any(text in commit.encoded for text in self.fails_for):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutItem")
        super().append(commit, guards)

    @property
    def commits(self) -> list[Commit]:
        """Those of monitoring events."""
        return self.commits_of("event")

    def commits_of(self, category: str) -> list[Commit]:
        streams = (commits for stream, commits in self.streams.items() if stream.startswith(f"{category}#"))
        return [commit for commits in streams for commit in commits]

    def alert(self) -> Alert:
        """The one alert."""
        alert = fold(ALERTS, self.commits_of("alert"))
        assert alert is not None
        return alert

    def event(self) -> MonitoringEvent:
        """The one monitoring event that was recorded."""
        (commit,) = self.commits
        event = fold(MONITORING_EVENTS, [commit])
        assert event is not None
        return event


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(clients, "sqs", lambda: queue)
    monkeypatch.setenv("INGEST_QUEUE_URL", "https://sqs/ingest")
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "30")
    return queue


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(ingest, "_store", lambda: store)
    for cached in (ingest._warm, ingest._config):
        cached.cache_clear()
    return store


@pytest.fixture
def invoke(queue: Queue, store: Store) -> Invoke:  # noqa: ARG001 - both are in place before a message comes
    """Hands over a batch of message bodies; returns the ids of those that are to come back."""

    def hand_over(*bodies: Any, sent_at: datetime = SENT_AT) -> list[str]:
        records = [
            {
                "messageId": f"m{place}",
                "receiptHandle": f"r{place}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"SentTimestamp": str(int(sent_at.timestamp() * 1000)), "ApproximateReceiveCount": "1"},
            }
            for place, body in enumerate(bodies)
        ]
        answer = ingest.handler({"Records": records}, object())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return hand_over


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """What ingest logs."""
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Handler()
    ingest.logger.addHandler(handler)
    yield records
    ingest.logger._logger.removeHandler(handler)


def envelope(**changes: Any) -> dict[str, Any]:
    """An alarm as EventBridge delivers it, with other fields; `...` removes one."""
    message: dict[str, Any] = json.loads((FIXTURES / "alarm.json").read_text())
    message |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in message.items() if value is not ...}


# ---- recording


def test_a_message_is_recorded_as_it_came_and_as_it_was_understood(invoke: Invoke, store: Store) -> None:
    message = envelope(time="2026-03-10T08:14:22Z")
    assert invoke(message) == []
    event = store.event()
    assert event.message == message
    assert (event.mapped.source, event.mapped.state, event.mapped.severity) == ("aws.cloudwatch", State.OPEN, 3)
    assert event.published_at == int(datetime(2026, 3, 10, 8, 14, 22, tzinfo=UTC).timestamp())


def test_the_commit_says_that_ingest_made_it_and_of_which_message(invoke: Invoke, store: Store) -> None:
    invoke(envelope())
    (commit,) = store.commits
    assert (commit.by, commit.causation_id, commit.version, commit.count) == ("system:ingest", "sqs:m0", 1, 1)
    assert commit.stream == f"event#{commit.correlation_id}"
    assert commit.hash == chain_hash(GENESIS, commit)
    assert store.appends == 2  # with its alert


def test_an_event_and_its_commit_expire_after_the_days_that_are_set(invoke: Invoke, store: Store) -> None:
    before = int(datetime.now(UTC).timestamp())
    invoke(envelope())
    (commit,) = store.commits
    assert commit.expires_at == store.event().expires_at
    assert 0 <= store.event().expires_at - before - 30 * DAY <= 60


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.json")), ids=lambda path: str(path.stem))
def test_every_kind_of_message_is_recorded(invoke: Invoke, store: Store, fixture: Path) -> None:
    assert invoke(fixture.read_text()) == []
    (part,) = split(parse(fixture.read_text()))
    assert store.event().message == part.raw


def test_a_shape_that_no_mapper_knows_is_recorded_as_generic(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope(detail={"state": "not what CloudWatch sends"})) == []
    assert any(note.startswith("taken as generic: ") for note in store.event().mapped.unmapped)
    assert store.event().message == envelope(detail={"state": "not what CloudWatch sends"})


def test_a_large_message_is_kept_whole(invoke: Invoke, store: Store) -> None:
    message = envelope(detail={"text": "Grüße 🔥 " * 5_000, "nothing": None})
    assert invoke(message) == []
    (commit,) = store.commits
    assert len(commit.encoded) < 20_000
    recorded = next(commit.recorded()).event
    assert isinstance(recorded, MonitoringEventRecorded)
    assert recorded.message == message


# ---- the same message twice


def test_a_message_that_is_delivered_twice_is_recorded_once(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope()) == []
    assert invoke(envelope(), sent_at=SENT_AT + timedelta(hours=1)) == []
    assert len(store.commits) == 1


def test_a_message_that_stands_twice_in_one_batch_is_recorded_once(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope(), envelope(), json.dumps(envelope(), indent=2)) == []
    assert len(store.commits) == 1


def test_messages_that_differ_in_id_or_time_are_different_events(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope(id="a"), envelope(id="b"), envelope(id="a", time="2026-03-10T08:15:00Z")) == []
    assert len(store.commits) == 3


# ---- what cannot be recorded


MALFORMED = [
    ("", "not usable JSON"),
    ("{", "not usable JSON"),
    ('{"detail-type": NaN}', "not usable JSON"),
    ("[" * 5_000, "not usable JSON"),
    ("null", "not a JSON object"),
    ('["a"]', "not a JSON object"),
    ('{"detail": {}}', "no detail-type"),
    ('{"detail-type": " ", "detail": {}}', "no detail-type"),
    ('{"detail-type": "x"}', "detail is not an object"),
    ('{"detail-type": "x", "detail": "text"}', "detail is not an object"),
]


@pytest.mark.parametrize("body", [body for body, _ in MALFORMED])
def test_a_malformed_message_comes_back_at_once_and_the_others_are_recorded(
    invoke: Invoke, store: Store, queue: Queue, body: str
) -> None:
    assert invoke(envelope(id="a"), body, envelope(id="b")) == ["m1"]
    assert queue.given_back == [("https://sqs/ingest", "r1", 0)]
    assert len(store.commits) == 2


@pytest.mark.parametrize(("body", "reason"), MALFORMED)
def test_why_a_message_is_malformed_is_logged_with_its_id(
    invoke: Invoke, logged: list[logging.LogRecord], body: str, reason: str
) -> None:
    invoke(envelope(), body)
    (refused,) = (record for record in logged if record.levelno == logging.ERROR)
    assert refused.__dict__["message_id"] == "m1"
    assert reason in refused.__dict__["reason"]


def test_a_message_that_no_item_can_hold_is_refused_in_the_same_way(invoke: Invoke, store: Store, queue: Queue) -> None:
    chance = random.Random(7)
    noise = "".join(chr(chance.randrange(0x4E00, 0x9E00)) for _ in range(256 * 1024))
    assert invoke(envelope(detail={"noise": noise}), envelope()) == ["m0"]
    assert queue.given_back == [("https://sqs/ingest", "r0", 0)]
    assert len(store.commits) == 1


def test_when_a_malformed_message_cannot_be_given_back_at_once_the_others_are_recorded_all_the_same(
    invoke: Invoke, store: Store, queue: Queue
) -> None:
    queue.fails = True
    assert invoke("{", envelope(), "{") == ["m0", "m2"]
    assert len(store.commits) == 1


def test_a_fault_of_the_infrastructure_brings_the_message_back_after_the_queues_own_time(
    invoke: Invoke, store: Store, queue: Queue, logged: list[logging.LogRecord]
) -> None:
    store.fails_for = {"alarm:poisonous"}
    poisonous = envelope(id="c", resources=["arn:aws:cloudwatch:eu-central-1:111122223333:alarm:poisonous"])
    assert invoke(envelope(id="a"), poisonous, envelope(id="b")) == ["m1"]
    assert queue.given_back == []
    assert len(store.commits) == 2
    (failed,) = (record for record in logged if record.levelno == logging.ERROR)
    assert failed.__dict__["message_id"] == "m1"
    assert failed.exc_info is not None


def test_after_the_fault_the_message_is_recorded_by_its_next_delivery(invoke: Invoke, store: Store) -> None:
    store.fails_for = {"alarm"}
    assert invoke(envelope()) == ["m0"]
    store.fails_for = set()
    assert invoke(envelope()) == []
    assert len(store.commits) == 1


def test_a_batch_without_a_failure_reports_none(invoke: Invoke) -> None:
    assert invoke() == []


# ---- times


@pytest.mark.parametrize("time", [..., None, "", "soon", 1773130462, "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_message_without_a_usable_time_is_of_the_time_it_was_put_into_the_queue(
    invoke: Invoke, store: Store, time: Any
) -> None:
    assert invoke(envelope(time=time)) == []
    assert store.event().published_at == int(SENT_AT.timestamp())


def test_such_a_message_has_the_same_time_at_each_of_its_deliveries(invoke: Invoke, store: Store) -> None:
    invoke(envelope(time=...))
    first = store.event()
    store.streams.clear()
    invoke(envelope(time=...))
    assert store.event().published_at == first.published_at
    assert store.event().mapped == first.mapped


def test_the_latest_time_there_is_is_taken(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope(time="9999-12-31T23:59:59Z")) == []
    assert store.event().published_at == 253_402_300_799


# ---- deployment


def test_a_function_without_its_table_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTS_TABLE", raising=False)
    monkeypatch.setattr(clients, "dynamodb", object)
    with pytest.raises(RuntimeError, match="EVENTS_TABLE is not set"):
        ingest._store.__wrapped__()


# ---- its alert


def test_a_problem_opens_an_alert_and_its_end_resolves_it(invoke: Invoke, store: Store) -> None:
    assert invoke(envelope()) == []
    (commit,) = store.commits_of("alert")
    assert [event.t for event in commit.stored_events()] == ["alert.opened"]
    assert (commit.by, commit.stream) == ("system:ingest", f"alert#{alert_id(store.event().mapped.fingerprint)}")
    assert invoke(alarm("OK", 1)) == []
    assert store.alert().state is AlertState.RESOLVED


def test_a_batch_of_one_fingerprint_is_one_commit_and_its_order_is_the_sources(invoke: Invoke, store: Store) -> None:
    assert invoke(alarm("ALARM", 3), alarm("OK", 2), alarm("ALARM", 1), alarm("ALARM", 4)) == []
    (commit,) = store.commits_of("alert")
    assert [event.t for event in commit.stored_events()] == [
        "alert.opened",
        "alert.resolved",
        "alert.reopened",
        "alert.recurred",
    ]
    assert store.alert().count == 3


def test_a_message_that_comes_again_counts_once(invoke: Invoke, store: Store) -> None:
    invoke(alarm("ALARM", 1), alarm("ALARM", 1))
    invoke(alarm("ALARM", 1))
    assert (store.alert().count, len(store.commits_of("alert"))) == (1, 1)


def test_what_was_recorded_but_not_correlated_comes_back_and_counts_once(invoke: Invoke, store: Store) -> None:
    store.fails_for = {"alert.opened"}
    assert invoke(alarm("ALARM", 1), alarm("ALARM", 2), envelope(id="x", detail={}, detail_type="News")) == ["m0", "m1"]
    assert (len(store.commits), store.commits_of("alert")) == (3, [])
    store.fails_for = set()
    assert invoke(alarm("ALARM", 1), alarm("ALARM", 2)) == []
    assert invoke(alarm("ALARM", 1), alarm("ALARM", 2)) == []
    assert (len(store.commits), store.alert().count) == (3, 2)


def test_a_service_that_is_not_watched_is_recorded_and_goes_no_further(invoke: Invoke, store: Store) -> None:
    configure(store, service_name="cloudwatch", enabled=False)
    assert invoke(envelope()) == []
    judged = store.event().judged
    assert judged is not None
    assert (judged.verdict, judged.config) == (Verdict.NOT_WATCHED, 2)
    assert store.commits_of("alert") == []


def test_a_judgement_stays_when_the_config_changes_before_the_alert_takes_the_event(
    invoke: Invoke, store: Store
) -> None:
    store.fails_for = {"alert.opened"}
    assert invoke(envelope()) == ["m0"]
    store.fails_for = set()
    configure(store, service_name="cloudwatch", enabled=False)
    ingest._config.cache_clear()
    assert invoke(envelope()) == []
    assert (store.alert().state, store.alert().config) == (AlertState.OPEN, 0)


def test_one_alert_that_cannot_be_read_holds_up_no_other(invoke: Invoke, store: Store) -> None:
    invoke(envelope())
    (commit,) = store.commits_of("alert")
    broken = sealed(
        commit.hash,
        **{name: getattr(commit, name) for name in ("id", "at", "by", "correlation_id", "causation_id", "command")},
        stream=commit.stream,
        version=2,
        count=1,
        encoded='[{"t":"alert.forgotten","v":1,"d":{}}]',
    )
    store.streams[commit.stream].append(broken)
    ingest._warm.cache_clear()
    other = json.loads(json.dumps(alarm("ALARM", 1)).replace("checkout-api 5xx rate", "another"))
    assert invoke(alarm("ALARM", 2), other) == ["m0"]
    assert len(store.commits_of("alert")) == 3


def alarm(state: str, second: int) -> dict[str, Any]:
    """A change of the fixture's alarm, so many seconds after it."""
    message = envelope(id=f"{state}-{second}")
    at = datetime.fromisoformat(message["time"]) + timedelta(seconds=second)
    message["time"] = at.isoformat().replace("+00:00", "Z")
    message["detail"]["state"] |= {"value": state, "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")}
    return message


def configure(store: Store, **of_service: Any) -> None:
    """Change one service of the monitoring config."""
    before = defaults()
    service = ServiceConfig(**of_service)
    others = tuple(one for one in before.services if one.service_name != service.service_name)
    wanted = before.model_copy(update={"services": (*others, service)})
    order = Order(by="root", at=datetime.now(UTC), correlation_id="co", causation_id="ca")
    execute(store, MONITORING_CONFIG, CONFIG_ID, lambda config: replace(config, wanted), order)
