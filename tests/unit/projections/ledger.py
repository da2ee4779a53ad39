"""People who use a ledger, in a DynamoDB in memory; and what its views must show: a fresh fold of all its events."""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from commands.execution import Order, execute
from commands.users import Users
from domain import alerts, aws_configs, monitoring_config, sessions, tasks
from domain.alerts import ALERTS, Alert, SnoozeAlert
from domain.aws_configs import AWS_CONFIGS, AwsConfig, ChangeAwsConfig, Contact, RegisterAwsConfig
from domain.correlation import Occurrence, correlate
from domain.decider import Context, Decider
from domain.errors import DomainError
from domain.event import DomainEvent
from domain.judgement import TAKEN, Judgement, Verdict
from domain.monitoring_config import MONITORING_CONFIG, GlobalSettings, MonitoringConfig, Thresholds
from domain.monitoring_events import MONITORING_EVENTS, event_id, recorded
from domain.permissions import Role
from domain.sessions import SESSIONS, EndReason, SessionRefreshed, SessionStarted
from domain.sources.mapping import MappedEvent, State
from domain.tasks import TASKS, ChangeTask, ChangeTaskStatus, CommentOnTask, CreateTask, Priority, Status, Task
from domain.users import ChangeUser, RegisterUser
from infra import changes, counters, generations, marks
from infra.commits import from_item
from infra.event_store import DynamoDBEventStore
from infra.guards import Guards
from infra.personal_data import MemoryDataKeys, PersonalData
from infra.views import Key
from projections.projector import Projector, hints_of, projections
from tests.in_memory import deployed
from tests.in_memory.dynamodb import InMemoryDynamoDB, client
from tests.in_memory.expressions import Item

S = TypeVar("S")
Rows = dict[tuple[str, str], Item]

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = 86_400
PROCESSES = 3
ACTORS = ("ann", "bob", "cyd")
FINGERPRINTS = ("disk", "memory", "certificate")
TAKEN_VERDICTS = sorted(TAKEN)


class Ledger:
    """A ledger and its people.

    Args:
        db: installed.
        chance: makes what people do.
        pace: the most seconds between two commands.

    Attributes:
        tasks, people, events, sessions: the ids of what was begun, whether or not it came about.
    """

    def __init__(self, db: InMemoryDynamoDB, chance: random.Random, pace: int = 1000) -> None:
        self.db = db
        self.chance = chance
        self.store = DynamoDBEventStore(client(), "events")
        self.personal = PersonalData(MemoryDataKeys())
        self.now = START
        self._pace = pace
        self._processes: dict[int, Projector] = {}
        self._lanes = random.Random(1)
        self.tasks: list[str] = []
        self.people: list[str] = []
        self.events: list[str] = []
        self.sessions: list[str] = []
        self._users = Users(self.store, Guards(client(), "guards", b"key"), self.personal)

    def projector(self) -> Projector:
        """A projector as a function's process makes it, which moves a part of each counter of its own."""
        changes._shard.cache_clear()
        made = projections(self.personal)
        return Projector(self.store, made, sleep=lambda _seconds: None, clock=self._seconds)

    def handler(self, event: dict[str, Any], _context: object = None) -> None:
        """What the projector's function does with its records: in one of its processes, of which each lives a while."""
        lane = self._lanes.randrange(PROCESSES)
        if lane not in self._processes or self._lanes.random() < 0.2:
            self._processes[lane] = self.projector()
        self._processes[lane].project(hints_of(event))

    def order(self, by: str | None = None) -> Order:
        """Who commands, and when: a moment after the last one."""
        self.now += timedelta(seconds=self.chance.randint(1, self._pace))
        by = by or self.chance.choice(ACTORS)
        return Order(by=by, at=self.now, correlation_id="test", causation_id="test")

    # ---- tasks

    def create_task(self, by: str | None = None, **sent: Any) -> None:
        order = self.order(by)
        fields = {
            "title": f"Task {len(self.tasks)}",
            "description": "Something has to be done.",
            "priority": self.chance.choice(list(Priority)),
            "assigned_user_id": self.chance.choice([None, *ACTORS]),
            "due_date": self._some_time(),
        }
        command = CreateTask(**{**fields, **sent})
        origin: dict[str, Any] = self.chance.choice(
            [{}, {"event_id": "1772366400-00000000-0000-0000-0000-000000000001"}, {"alert_id": self._alert()}]
        )

        def decide(task: Task | None) -> Sequence[DomainEvent]:
            return [] if task else tasks.create(command, order.context, **({} if sent else origin))

        self._run(TASKS, self._begun(self.tasks), decide, order)

    def change_task(self) -> None:
        sent: dict[str, Any] = {"priority": self.chance.choice(list(Priority))}
        if self.chance.random() < 0.5:
            sent["due_date"] = self.chance.choice([None, self._some_time()])
        if self.chance.random() < 0.5:
            sent["assigned_user_id"] = self.chance.choice([None, *ACTORS])
        self._on_a_task(lambda task, context: tasks.change(task, ChangeTask(**sent), context))

    def move_task(self, status: Status | None = None) -> None:
        command = ChangeTaskStatus(status=status or self.chance.choice(list(Status)))
        self._on_a_task(lambda task, _: tasks.change_status(task, command))

    def assign_task(self) -> None:
        user_id = self.chance.choice([None, *ACTORS])
        self._on_a_task(lambda task, _: tasks.assign(task, user_id))

    def comment(self) -> None:
        said, comment_id = CommentOnTask(comment="Looked at it."), str(self._uuid())
        self._on_a_task(lambda task, _: tasks.comment(task, said, comment_id))

    def delete_task(self) -> None:
        self._on_a_task(lambda task, _: tasks.delete(task))

    # ---- what AWS reports

    def record_event(self) -> None:
        order = self.order("system:ingest")
        mapped = self._message("f", 1)
        published_at = int(order.at.timestamp()) - self.chance.randrange(60)
        expires_at = int(order.at.timestamp()) + 90 * DAY
        judged = Judgement(verdict=self.chance.choice(list(Verdict)), severity=self.chance.randrange(6), config=1)
        event = recorded({"detail": {}}, mapped, published_at, expires_at, self.chance.choice([None, judged]))
        self._run(
            MONITORING_EVENTS, self._begun(self.events), lambda state: [] if state else [event], order, expires_at
        )

    def take_events(self, verdict: Verdict | None = None, fingerprint: str | None = None) -> None:
        """Some events of one fingerprint, as of the last ten minutes."""
        order = self.order("system:ingest")
        fingerprint = fingerprint or self.chance.choice(FINGERPRINTS)
        taken = [self._occurrence(order, fingerprint, verdict) for _ in range(self.chance.randint(1, 3))]
        thresholds = Thresholds(occurrences=self.chance.choice([1, 1, 1, 2]))
        self._on_an_alert(fingerprint, lambda alert: correlate(alert, taken, thresholds, order.context), order)

    def acknowledge_alert(self, fingerprint: str | None = None) -> None:
        self._on_an_alert(fingerprint or self.chance.choice(FINGERPRINTS), alerts.acknowledge, self.order())

    def snooze_alert(self) -> None:
        order = self.order()
        command = SnoozeAlert(until=int(order.at.timestamp()) + self.chance.randrange(1, 3) * DAY)
        fingerprint = self.chance.choice(FINGERPRINTS)
        self._on_an_alert(fingerprint, lambda alert: alerts.snooze(alert, command, order.context), order)

    def resolve_alert(self, fingerprint: str | None = None) -> None:
        self._on_an_alert(fingerprint or self.chance.choice(FINGERPRINTS), alerts.resolve, self.order())

    def link_task(self) -> None:
        task_id = self._some(self.tasks)
        fingerprint = self.chance.choice(FINGERPRINTS)
        self._on_an_alert(fingerprint, lambda alert: alerts.link_task(alert, task_id), self.order())

    # ---- people

    def register(self) -> None:
        order, number = self.order(), len(self.people)
        role = self.chance.choice(list(Role))
        command = RegisterUser(email=f"user{number}@example.com", full_name=f"User {number}", role=role)
        self._users.register(self._begun(self.people), command, "hash", order)

    def change_person(self) -> None:
        sent: dict[str, Any] = self.chance.choice(
            [{"role": "admin"}, {"role": "user"}, {"is_active": False}, {"is_active": True}, {"full_name": "Another"}]
        )
        self._users.change(self._some(self.people), ChangeUser(**sent), self.order())

    def delete_person(self) -> None:
        self._users.delete(self._some(self.people), self.order())

    def log_in(self) -> None:
        order = self.order()
        started = SessionStarted(user_id=self._some(self.people), user_version=1, **self._given(order))
        self._run(SESSIONS, self._begun(self.sessions), lambda state: sessions.start(state, started), order)

    def refresh(self) -> None:
        order, session = self.order(), self._some(self.sessions)
        refreshed = SessionRefreshed(generation=2, **self._given(order))
        self._run(SESSIONS, session, lambda state: sessions.refresh(state, "digest", refreshed, None, order.at), order)

    def log_out(self) -> None:
        reason = self.chance.choice(list(EndReason))
        self._run(SESSIONS, self._some(self.sessions), lambda state: sessions.end(state, reason), self.order())

    # ---- what is configured

    def register_account(self) -> None:
        account = self._account()
        role = f"arn:aws:iam::{account}:role/opsledger"
        command = RegisterAwsConfig(account_id=account, account_name="Shop", region="eu-central-1", role_arn=role)
        self._configure(account, lambda config: aws_configs.register(config, command, "external"))

    def change_account(self) -> None:
        sent: dict[str, Any] = self.chance.choice(
            [{"is_active": False}, {"is_active": True}, {"account_name": "Another"}]
        )
        self._configure(self._account(), lambda config: aws_configs.change(config, ChangeAwsConfig(**sent)))

    def test_account(self) -> None:
        account = self._account()
        contact = Contact(account=account, fault=self.chance.choice([None, "It cannot be assumed."]))
        self._configure(account, lambda config: aws_configs.record_test(aws_configs.existing(config), contact))

    def configure_monitoring(self) -> None:
        wanted = self.chance.choice(["UTC", "Europe/Berlin", "Asia/Tokyo"])

        def decide(config: MonitoringConfig | None) -> Sequence[DomainEvent]:
            before = config or monitoring_config.defaults()
            changed = GlobalSettings(**{**dict(before.global_settings), "timezone": wanted})
            return monitoring_config.replace(config, before.model_copy(update={"global_settings": changed}))

        self._run(MONITORING_CONFIG, monitoring_config.CONFIG_ID, decide, self.order())

    # ---- all of it

    def work(self, commits: int) -> None:
        """Do as many things as it takes to make so many commits, half of them monitoring events."""
        wanted = len(self.db.changes("events")) + commits
        while len(self.db.changes("events")) < wanted:
            kind = "record_event" if self.chance.random() < 0.5 else self.chance.choice(KINDS)
            self.attempt(kind)

    def attempt(self, kind: str) -> None:
        """Do one thing, or be refused."""
        try:
            getattr(self, kind)()
        except (DomainError, IndexError):
            return

    def _on_a_task(self, decide: Callable[[Task | None, Context], Sequence[DomainEvent]]) -> None:
        order = self.order()
        self._run(TASKS, self._some(self.tasks), lambda task: decide(task, order.context), order)

    def _on_an_alert(
        self, fingerprint: str, decide: Callable[[Alert | None], Sequence[DomainEvent]], order: Order
    ) -> None:
        self._run(ALERTS, alerts.alert_id(fingerprint), decide, order)

    def _alert(self) -> str:
        return alerts.alert_id(self.chance.choice(FINGERPRINTS))

    def _message(self, fingerprint: str, order: int) -> MappedEvent:
        return MappedEvent(
            source=self.chance.choice(["aws.cloudwatch", "aws.health", "monitoring.agent"]),
            detail_type="CloudWatch Alarm State Change",
            account="123456789012",
            region="eu-central-1",
            title="CPU is high",
            severity=self.chance.randrange(6),
            state=State.OPEN,
            fingerprint=fingerprint,
            order=order,
        )

    def _occurrence(self, order: Order, fingerprint: str, verdict: Verdict | None) -> Occurrence:
        published_at = int(order.at.timestamp()) - self.chance.randrange(600)
        verdict = verdict or self.chance.choice([Verdict.PROBLEM, *TAKEN_VERDICTS])
        judged = Judgement(verdict=verdict, severity=self.chance.randrange(6), config=1)
        mapped = self._message(fingerprint, 1000 * published_at)
        return Occurrence(event_id(published_at, str(self._uuid())), mapped, judged, published_at, order.at)

    def _configure(self, account: str, decide: Callable[[AwsConfig | None], Sequence[DomainEvent]]) -> None:
        self._run(AWS_CONFIGS, aws_configs.config_id(account, "eu-central-1"), decide, self.order())

    def _run(
        self,
        decider: Decider[S],
        aggregate_id: str,
        decide: Callable[[S | None], Sequence[DomainEvent]],
        order: Order,
        expires_at: int | None = None,
    ) -> None:
        execute(self.store, decider, aggregate_id, decide, order, expires_at=expires_at, sleep=lambda _seconds: None)

    def _seconds(self) -> float:
        """Now, since the epoch."""
        return self.now.timestamp()

    def _given(self, order: Order) -> dict[str, Any]:
        expires_at = int(order.at.timestamp()) + 7 * DAY
        digest = {"refresh_digest": "digest", "role": Role.USER, "password_change_required": False}
        return {"expires_at": expires_at, **digest}

    def _begun(self, ids: list[str]) -> str:
        ids.append(str(self._uuid()))
        return ids[-1]

    def _some(self, ids: list[str]) -> str:
        """One of the last ten. Raises IndexError if there is none."""
        return self.chance.choice(ids[-10:])

    def _some_time(self) -> int | None:
        return self.chance.choice([None, int(self.now.timestamp()) + self.chance.randrange(1, 5) * DAY])

    def _account(self) -> str:
        return f"{self.chance.randrange(3):012d}"

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)


KINDS = (
    *("create_task", "create_task", "change_task", "move_task", "move_task", "assign_task", "comment", "delete_task"),
    *("take_events", "take_events", "take_events", "acknowledge_alert", "snooze_alert", "resolve_alert", "link_task"),
    *("record_event", "register", "change_person", "delete_person", "log_in", "refresh", "log_out"),
    *("register_account", "change_account", "test_account", "configure_monitoring"),
)


def rows_of(db: InMemoryDynamoDB) -> Rows:
    """What the views show: their rows and counters. A counter is all in its part 0; at zero it is as good as none."""
    rows: Rows = {}
    for item in db.items("views"):
        key = Key(item["pk"]["S"], item["sk"]["S"])
        if "counter#" in key.pk:
            generation, _, name = key.pk.partition("|")
            name, sk = counters.sharded(counters.unsharded(Key(name, key.sk)), 0)
            key = Key(f"{generation}|{name}", sk)
            n = int(item["n"]["N"]) + (int(rows[key]["n"]["N"]) if key in rows else 0)
            rows[key] = {**item, "pk": {"S": key.pk}, "sk": {"S": key.sk}, "n": {"N": str(n)}}
        else:
            rows[key] = item
    return {key: item for key, item in rows.items() if item.get("n", {}).get("N") != "0"}


def fresh_fold(ledger: Ledger, at_once: int = 1) -> Rows:
    """What views show that were empty and were told of every commit once, in order.

    Args:
        at_once: of how many commits they were told in one batch.
    """
    fresh = InMemoryDynamoDB(deployed.tables())
    fresh.fill("events", ledger.db.items("events"))
    commits = sorted(map(from_item, fresh.items("events")), key=lambda commit: (commit.stream, commit.version))
    with fresh.installed():
        generations.forget()
        projector = ledger.projector()
        for first in range(0, len(commits), at_once):
            projector.project(commits[first : first + at_once])
    generations.forget()
    return rows_of(fresh)


def differences(shown: Mapping[Any, Item], expected: Mapping[Any, Item]) -> dict[Any, tuple[Item | None, Item | None]]:
    """Where two views differ: what is shown there, and what should be."""
    keys = {*shown, *expected}
    return {key: (shown.get(key), expected.get(key)) for key in sorted(keys) if shown.get(key) != expected.get(key)}


def parked(rows: Iterable[tuple[str, str]]) -> list[str]:
    """The streams that stand in the marks of parked ones, in any generation."""
    return [sk.split("#", 2)[2] for pk, sk in rows if pk == marks.STATE and sk.startswith("parked#")]
