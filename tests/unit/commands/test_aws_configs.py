"""The AWS config routes: registering, changing, and testing the connection. Storage and STS are in memory."""

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from commands import api, wiring
from commands.execution import Order, execute
from domain import aws_configs
from domain.aws_configs import AWS_CONFIGS, ChangeAwsConfig, Contact
from domain.commit import Commit
from infra import aws_accounts
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore
from infra.problems import RetryLaterError
from tests.unit.commands.write_api import Answered, Tokens, called

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/opsledger-monitoring"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/opsledger-2"
SENT = {"account_id": ACCOUNT, "account_name": "Production", "region": "eu-central-1", "role_arn": ROLE}


class Accounts:
    """STS as these tests want it: says what it is told to, or fails, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: Contact | Exception = Contact(account=ACCOUNT)
        self.asked: list[tuple[str, str, str]] = []
        self.meanwhile: Callable[[], None] | None = None

    def contact(self, role_arn: str, external_id: str, region: str) -> Contact:
        self.asked.append((role_arn, external_id, region))
        if self.meanwhile:
            happening, self.meanwhile = self.meanwhile, None
            happening()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryEventStore:
    store, warm = MemoryEventStore(), WarmHistories()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "warm", lambda: warm)
    monkeypatch.setattr(api.api, "_callers", Tokens)
    return store


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    accounts = Accounts()
    monkeypatch.setattr(aws_accounts, "contact", accounts.contact)
    return accounts


@pytest.fixture
def registered() -> Answered:
    answer = called("POST", "/config/aws", SENT)
    assert answer.status == 201
    return answer


@pytest.fixture
def path(registered: Answered) -> str:
    return registered.headers["Location"]


def commits(store: MemoryEventStore, path: str) -> list[Commit]:
    return list(store.load(AWS_CONFIGS.stream(path.rpartition("/")[2])))


def change_behind(store: MemoryEventStore, path: str, **fields: object) -> None:
    """As another process would, of which this one knows nothing."""
    order = Order(by="other", at=datetime.now(UTC).replace(microsecond=0), correlation_id="co", causation_id="ca")
    change = ChangeAwsConfig.model_validate(fields)
    execute(store, AWS_CONFIGS, path.rpartition("/")[2], lambda config: aws_configs.change(config, change), order)


# ---- registering


def test_an_account_is_registered_with_an_external_id_of_ours(registered: Answered) -> None:
    body = dict(registered.body)
    config_id = body.pop("id")
    assert registered.headers["Location"] == f"/config/aws/{config_id}"
    assert registered.headers["Stream-Version"] == f"aws-config#{config_id}@1"
    assert uuid.UUID(body.pop("external_id")).version == 4
    created_at = body.pop("created_at")
    assert body == {
        **SENT,
        "status": "pending",
        "is_active": True,
        "deployed_at": None,
        "last_sync": None,
        "last_error": None,
        "updated_at": created_at,
    }


def test_no_two_configs_share_an_external_id(registered: Answered) -> None:
    other = called("POST", "/config/aws", {**SENT, "region": "eu-west-1"})
    assert other.status == 201
    assert other.body["external_id"] != registered.body["external_id"]


def test_the_same_account_and_region_again_is_a_conflict(registered: Answered, store: MemoryEventStore) -> None:
    again = called("POST", "/config/aws", {**SENT, "account_name": "Another"})
    assert (again.status, again.body["status"]) == (409, 409)
    assert len(commits(store, registered.headers["Location"])) == 1


def test_a_repeat_gets_the_same_external_id() -> None:
    first, again = (called("POST", "/config/aws", SENT, Idempotency_Key="k1") for _ in range(2))
    assert (first.status, again.status, again.body) == (201, 201, first.body)


@pytest.mark.parametrize("field", sorted(SENT))
def test_every_field_is_asked_for(field: str) -> None:
    answer = called("POST", "/config/aws", {name: value for name, value in SENT.items() if name != field})
    assert (answer.status, answer.named) == (422, {field})


def test_a_role_of_another_account_is_refused_by_name() -> None:
    answer = called("POST", "/config/aws", {**SENT, "account_id": "444455556666"})
    assert (answer.status, answer.named) == (422, {"role_arn"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/config/aws"), ("PUT", "/config/aws/x"), ("POST", "/config/aws/x/test"), ("PUT", "/config/monitoring")],
)
def test_only_admins_configure(method: str, path: str) -> None:
    assert called(method, path, {}, caller="user/ada").status == 403


# ---- changing


def test_a_change_is_answered_with_the_whole_config(registered: Answered, path: str) -> None:
    answer = called("PUT", path, {"account_name": "Shop", "is_active": False})
    assert (answer.status, answer.headers["ETag"]) == (200, '"3"')
    changed = {"account_name": "Shop", "is_active": False, "status": "disabled"}
    assert answer.body == {**registered.body, **changed, "updated_at": answer.body["updated_at"]}


def test_changing_nothing_appends_nothing(path: str, store: MemoryEventStore) -> None:
    assert called("PUT", path, {"account_name": "Production"}).headers["ETag"] == '"1"'
    assert len(commits(store, path)) == 1


def test_a_change_of_an_older_version_is_refused(path: str) -> None:
    called("PUT", path, {"account_name": "Shop"})
    assert called("PUT", path, {"account_name": "Bank"}, If_Match='"1"').status == 412
    assert called("PUT", path, {"account_name": "Bank"}, If_Match='"2"').status == 200


@pytest.mark.parametrize("field", ["account_id", "region", "external_id", "status"])
def test_what_a_config_is_cannot_be_changed(path: str, field: str) -> None:
    answer = called("PUT", path, {field: "x"})
    assert (answer.status, answer.named) == (422, {field})


@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("POST", "/test")])
def test_what_is_not_registered_is_not_found(method: str, end: str, accounts: Accounts) -> None:
    answer = called(method, f"/config/aws/{uuid.uuid4()}{end}", {})
    assert answer.status == 404
    assert accounts.asked == []


# ---- testing


def test_a_test_assumes_the_role_with_the_external_id(registered: Answered, path: str, accounts: Accounts) -> None:
    answer = called("POST", f"{path}/test")
    assert answer.status == 200
    assert accounts.asked == [(ROLE, registered.body["external_id"], "eu-central-1")]
    assert answer.body["connection"] == {"ok": True, "account": ACCOUNT, "fault": None}
    config = answer.body["config"]
    assert (config["status"], config["last_error"]) == ("active", None)
    assert config["deployed_at"] == config["last_sync"] == config["updated_at"]


def test_a_failure_is_recorded_and_answered_as_a_result(path: str, accounts: Accounts, store: MemoryEventStore) -> None:
    accounts.answer = Contact(fault="AWS refused access to the role.")
    answer = called("POST", f"{path}/test")
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.body["connection"] == {"ok": False, "account": None, "fault": "AWS refused access to the role."}
    assert (answer.body["config"]["status"], answer.body["config"]["last_sync"]) == ("failed", None)
    assert answer.body["config"]["last_error"] == "AWS refused access to the role."
    (recorded,) = commits(store, path)[1].recorded()
    assert recorded.event.name == "aws-config.connection-tested"
    assert recorded.by == "root"


def test_credentials_of_another_account_are_a_failure(path: str, accounts: Accounts) -> None:
    accounts.answer = Contact(account="444455556666")
    answer = called("POST", f"{path}/test")
    assert answer.body["connection"]["ok"] is False
    assert answer.body["connection"]["account"] == "444455556666"
    assert re.search(rf"444455556666.*{ACCOUNT}", answer.body["config"]["last_error"])


def test_a_busy_sts_says_nothing_about_the_role(path: str, accounts: Accounts, store: MemoryEventStore) -> None:
    accounts.answer = RetryLaterError("AWS is busy; try again.", 5)
    answer = called("POST", f"{path}/test")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert len(commits(store, path)) == 1


def test_a_repeat_of_a_test_assumes_nothing_again(path: str, accounts: Accounts) -> None:
    first = called("POST", f"{path}/test", Idempotency_Key="k1")
    accounts.answer = Contact(fault="No.")
    again = called("POST", f"{path}/test", Idempotency_Key="k1")
    assert (again.status, again.body) == (200, first.body)
    assert len(accounts.asked) == 1


def test_a_role_that_was_changed_during_a_test_is_tested_too(
    path: str, accounts: Accounts, store: MemoryEventStore
) -> None:
    accounts.meanwhile = lambda: change_behind(store, path, role_arn=OTHER_ROLE)
    answer = called("POST", f"{path}/test")
    assert [role for role, _, _ in accounts.asked] == [ROLE, OTHER_ROLE]
    assert (answer.body["config"]["role_arn"], answer.body["config"]["status"]) == (OTHER_ROLE, "active")


def test_another_change_during_a_test_does_not_repeat_it(
    path: str, accounts: Accounts, store: MemoryEventStore
) -> None:
    accounts.meanwhile = lambda: change_behind(store, path, account_name="Shop")
    answer = called("POST", f"{path}/test")
    assert len(accounts.asked) == 1
    assert (answer.body["config"]["account_name"], answer.headers["ETag"]) == ("Shop", '"3"')


def test_a_disabled_config_can_be_tested_and_stays_disabled(path: str) -> None:
    called("PUT", path, {"is_active": False})
    config = called("POST", f"{path}/test").body["config"]
    assert (config["status"], config["last_error"]) == ("disabled", None)
    assert config["last_sync"] is not None
