"""The monitoring config route: the whole config in, what changed recorded. Storage is in memory."""

import json
from typing import Any

import pytest

from commands import api, wiring
from domain.commit import Commit
from domain.monitoring_config import defaults
from domain.monitoring_config_shape import shown
from infra.history import WarmHistories
from infra.memory_event_store import MemoryEventStore
from tests.unit.commands.write_api import Tokens, called

DEFAULTS = defaults()
PATH = "/config/monitoring"


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryEventStore:
    store, warm = MemoryEventStore(), WarmHistories()
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "warm", lambda: warm)
    monkeypatch.setattr(api.api, "_callers", Tokens)
    return store


def commits(store: MemoryEventStore) -> list[Commit]:
    return list(store.load("monitoring-config#main"))


def config(**settings: Any) -> dict[str, Any]:
    """The defaults as GET answers them, with other global settings."""
    document: dict[str, Any] = json.loads(json.dumps(shown(DEFAULTS, 0)))
    document["global_settings"] |= settings
    return document


def test_sending_the_defaults_changes_nothing(store: MemoryEventStore) -> None:
    answer = called("PUT", PATH, config())
    assert (answer.status, answer.headers["ETag"]) == (200, '"0"')
    assert "Stream-Version" not in answer.headers
    assert answer.body == config()
    assert commits(store) == []


def test_the_first_change_is_one_commit(store: MemoryEventStore) -> None:
    answer = called("PUT", PATH, config(timezone="Europe/Berlin"))
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.headers["Stream-Version"] == "monitoring-config#main@2"
    (commit,) = commits(store)
    assert [event.t for event in commit.stored_events()] == [
        "monitoring-config.started",
        "monitoring-config.global-settings-changed",
    ]
    assert answer.body == {
        **config(timezone="Europe/Berlin"),
        "version": 2,
        "updated_at": int(commit.at.timestamp()),
        "updated_by": {"id": "root", "name": None},
    }


def test_the_same_config_again_changes_nothing(store: MemoryEventStore) -> None:
    first = called("PUT", PATH, config(timezone="Europe/Berlin"))
    again = called("PUT", PATH, first.body, caller="admin/other")
    assert (again.body, again.headers["ETag"]) == (first.body, '"2"')
    assert len(commits(store)) == 1


def test_of_two_who_change_the_same_version_one_is_told(store: MemoryEventStore) -> None:
    first = called("PUT", PATH, config(timezone="Europe/Berlin"), If_Match='"0"')
    second = called("PUT", PATH, config(timezone="Asia/Tokyo"), If_Match='"0"')
    assert (first.status, second.status) == (200, 412)
    assert called("PUT", PATH, config(timezone="Asia/Tokyo"), If_Match='"2"').headers["ETag"] == '"3"'
    assert len(commits(store)) == 2


def test_a_repeat_is_answered_as_it_was_then(store: MemoryEventStore) -> None:
    first = called("PUT", PATH, config(timezone="Europe/Berlin"), Idempotency_Key="k1")
    called("PUT", PATH, config(timezone="Asia/Tokyo"))
    again = called("PUT", PATH, config(timezone="Europe/Berlin"), Idempotency_Key="k1")
    assert (again.body, again.headers["ETag"]) == (first.body, '"2"')
    assert len(commits(store)) == 2


def test_parts_that_do_not_fit_together_are_refused_by_path(store: MemoryEventStore) -> None:
    document = config(default_channel="ops")
    document["notification_rules"][1]["channels"] = ["night"]
    answer = called("PUT", PATH, document)
    assert answer.status == 422
    assert answer.named == {"global_settings.default_channel", "notification_rules.1.channels.0"}
    assert commits(store) == []


def test_a_field_that_is_not_valid_is_refused_by_path() -> None:
    document = config()
    document["services"][3]["polling_interval"] = 5
    answer = called("PUT", PATH, document)
    assert (answer.status, answer.named) == (422, {"services.3.polling_interval"})


def test_the_largest_config_and_its_history_fit_into_commits(store: MemoryEventStore) -> None:
    document = config()
    document["global_settings"]["account_names"] = {f"{n:012d}": "ü" * 18 for n in range(500)}
    document["notification_rules"] = [
        {"name": f"{n}", "transitions": ["opened"], "match": {"text": f"{n:02d}" + "x" * 100}} for n in range(50)
    ]
    for n in range(60):
        document["global_settings"]["account_names"]["000000000000"] = f"Name {n}"
        assert called("PUT", PATH, document).status == 200
    assert max(len(commit.encoded) + len(commit.snapshot or b"") for commit in commits(store)) < 200_000
