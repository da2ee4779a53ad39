"""The rules of AWS configs: what may be registered, and what tests and changes do to the status."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.aws_configs import (
    AWS_CONFIGS,
    AwsConfig,
    AwsConfigChanged,
    AwsConfigDisabled,
    AwsConfigEnabled,
    AwsConfigRegistered,
    ChangeAwsConfig,
    ConnectionTested,
    Contact,
    RegisterAwsConfig,
    Status,
    change,
    config_id,
    record_test,
    register,
)
from domain.commit import Recorded
from domain.errors import InvalidError, NotFoundError, StateConflictError
from domain.event import DomainEvent
from domain.users import UserDeactivated

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/opsledger-monitoring"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/team/opsledger-2"
SENT = {"account_id": ACCOUNT, "account_name": "Production", "region": "eu-central-1", "role_arn": ROLE}
REGISTERED = AwsConfigRegistered(**SENT, external_id="e-1")
REACHED = ConnectionTested(ok=True, account=ACCOUNT)
REFUSED = ConnectionTested(ok=False, fault="No.")
MOVED = AwsConfigChanged(account_name="Production", role_arn=OTHER_ROLE)
BACK = AwsConfigChanged(account_name="Production", role_arn=ROLE)


def config(*events: DomainEvent) -> AwsConfig:
    """The config after these events, a minute apart; it is registered at NOW."""
    state = None
    for version, event in enumerate((REGISTERED, *events), start=1):
        state = AWS_CONFIGS.evolve(state, Recorded(event, version, NOW + timedelta(minutes=version - 1), "ada"))
    assert state is not None
    return state


def faults(raised: pytest.ExceptionInfo[InvalidError]) -> set[str]:
    return {fault.field for fault in raised.value.faults}


# ---- what may be sent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_id", "11112222333"),
        ("account_id", "1111222233334"),
        ("account_id", "١١١١٢٢٢٢٣٣٣٣"),
        ("account_id", "111122223333\n"),
        ("account_id", 111122223333),
        ("account_name", "  "),
        ("account_name", "x" * 101),
        ("account_name", "two\nlines"),
        ("region", "eu-central"),
        ("region", "EU-central-1"),
        ("region", "eu-central-12"),
        ("region", "eu-central-1.example.com"),
        ("role_arn", ""),
        ("role_arn", "opsledger-monitoring"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:user/opsledger"),
        ("role_arn", f"arn:aws:iam:eu-central-1:{ACCOUNT}:role/opsledger"),
        ("role_arn", f"arn:aws:sts::{ACCOUNT}:assumed-role/opsledger/x"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role/"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role//opsledger"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role/has space"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role/" + "x" * 65),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role/{'x' * 511}/opsledger"),
        ("role_arn", f"arn:aws:iam::{ACCOUNT}:role/opsledger\n"),
        ("role_arn", f" {ROLE}"),
        ("external_id", "chosen by the client"),
    ],
)
def test_a_field_that_is_not_valid_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        RegisterAwsConfig.model_validate({**SENT, field: value})
    assert {fault["loc"] for fault in raised.value.errors()} == {(field,)}


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_role_is_of_the_account_and_of_the_partition_of_the_region(region: str, partition: str) -> None:
    def sent(account: str, in_partition: str) -> RegisterAwsConfig:
        role = f"arn:{in_partition}:iam::{account}:role/ops/opsledger"
        return RegisterAwsConfig.model_validate({**SENT, "region": region, "role_arn": role})

    assert register(None, sent(ACCOUNT, partition), "e-1")
    for refused in (sent("444455556666", partition), sent(ACCOUNT, "aws-iso-b"), sent(ACCOUNT, "aws-x")):
        with pytest.raises(InvalidError) as raised:
            register(None, refused, "e-1")
        assert faults(raised) == {"role_arn"}


def test_an_account_has_one_config_for_each_region() -> None:
    ids = {config_id(account, region) for account in (ACCOUNT, "444455556666") for region in ("eu-west-1", "eu-west-2")}
    assert len(ids) == 4
    assert config_id(ACCOUNT, "eu-west-1") in ids
    with pytest.raises(StateConflictError, match="already"):
        register(config(), RegisterAwsConfig.model_validate(SENT), "e-2")


# ---- changing


def test_a_change_tells_both_fields_as_they_are_then() -> None:
    assert change(config(), ChangeAwsConfig(role_arn=OTHER_ROLE)) == [MOVED]
    assert change(config(MOVED), ChangeAwsConfig(account_name="Shop")) == [
        AwsConfigChanged(account_name="Shop", role_arn=OTHER_ROLE)
    ]


def test_what_is_as_it_is_sent_does_not_change() -> None:
    assert change(config(), ChangeAwsConfig()) == []
    assert change(config(), ChangeAwsConfig(account_name="Production", role_arn=ROLE, is_active=True)) == []


def test_a_config_is_disabled_and_enabled_once() -> None:
    assert change(config(), ChangeAwsConfig(is_active=False)) == [AwsConfigDisabled()]
    assert change(config(AwsConfigDisabled()), ChangeAwsConfig(is_active=False)) == []
    assert change(config(AwsConfigDisabled()), ChangeAwsConfig(is_active=True)) == [AwsConfigEnabled()]


def test_one_change_may_move_the_role_and_disable() -> None:
    assert change(config(), ChangeAwsConfig(role_arn=OTHER_ROLE, is_active=False)) == [MOVED, AwsConfigDisabled()]


def test_the_new_role_is_of_the_same_account() -> None:
    with pytest.raises(InvalidError) as raised:
        change(config(), ChangeAwsConfig(role_arn="arn:aws:iam::444455556666:role/opsledger"))
    assert faults(raised) == {"role_arn"}


@pytest.mark.parametrize("field", ["account_name", "role_arn", "is_active"])
def test_no_field_can_be_null(field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        change(config(), ChangeAwsConfig.model_validate({field: None}))
    assert faults(raised) == {field}


def test_what_does_not_exist_cannot_be_changed() -> None:
    with pytest.raises(NotFoundError):
        change(None, ChangeAwsConfig(account_name="x"))


# ---- testing


@pytest.mark.parametrize(
    ("contact", "event"),
    [
        (Contact(account=ACCOUNT), REACHED),
        (Contact(fault="No."), REFUSED),
        (
            Contact(account="444455556666"),
            ConnectionTested(
                ok=False,
                account="444455556666",
                fault=f"The role belongs to the account 444455556666, not to {ACCOUNT}.",
            ),
        ),
    ],
)
def test_a_test_is_recorded_whatever_came_of_it(contact: Contact, event: ConnectionTested) -> None:
    assert record_test(config(), contact) == [event]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], Status.PENDING),
        ([MOVED], Status.PENDING),
        ([REACHED], Status.ACTIVE),
        ([REFUSED], Status.FAILED),
        ([REFUSED, REACHED], Status.ACTIVE),
        ([REACHED, REFUSED], Status.FAILED),
        ([REACHED, AwsConfigChanged(account_name="Shop", role_arn=ROLE)], Status.ACTIVE),
        ([REACHED, MOVED], Status.DEPLOYING),
        ([REACHED, REFUSED, MOVED], Status.DEPLOYING),
        ([REFUSED, MOVED], Status.PENDING),
        ([REACHED, MOVED, REFUSED], Status.FAILED),
        ([REACHED, MOVED, REACHED], Status.ACTIVE),
        ([REACHED, AwsConfigDisabled()], Status.DISABLED),
        ([REACHED, AwsConfigDisabled(), REFUSED], Status.DISABLED),
        ([REACHED, AwsConfigDisabled(), AwsConfigEnabled()], Status.ACTIVE),
        ([AwsConfigDisabled(), AwsConfigEnabled()], Status.PENDING),
    ],
)
def test_the_status_follows_the_last_test_of_the_present_role(events: list[DomainEvent], status: Status) -> None:
    assert config(*events).status is status


def test_deployed_is_the_first_success_with_the_present_role_and_last_sync_the_last_with_any() -> None:
    reached = config(REFUSED, REACHED, REACHED, REFUSED)
    assert (reached.deployed_at, reached.last_sync) == (NOW + timedelta(minutes=2), NOW + timedelta(minutes=3))
    moved = config(REACHED, MOVED)
    assert (moved.deployed_at, moved.last_sync, moved.last_test) == (None, NOW + timedelta(minutes=1), None)
    again = config(REACHED, MOVED, REACHED, BACK, REACHED)
    assert (again.deployed_at, again.last_sync) == (NOW + timedelta(minutes=5),) * 2


def test_a_config_knows_no_other_events() -> None:
    with pytest.raises(ValueError, match=r"user\.deactivated"):
        config(UserDeactivated())
    with pytest.raises(ValueError, match="before"):
        AWS_CONFIGS.evolve(None, Recorded(REACHED, 1, NOW, "ada"))


EVENTS = st.lists(st.sampled_from([REACHED, REFUSED, MOVED, BACK, AwsConfigDisabled(), AwsConfigEnabled()]))


@given(EVENTS)
def test_the_times_and_the_status_agree_whatever_happened(events: list[DomainEvent]) -> None:
    state = config(*events)
    assert (state.status is Status.DISABLED) is not state.is_active
    if state.status is Status.ACTIVE:
        assert state.deployed_at is not None
        assert state.last_sync is not None
        assert state.deployed_at <= state.last_sync <= state.updated_at
    if state.status is Status.PENDING:
        assert (state.deployed_at, state.last_sync) == (None, None)
    if state.status is Status.DEPLOYING:
        assert state.deployed_at is None
        assert state.last_sync is not None
