"""Messages as AWS sends them, and changed ones: `mapped("alarm", {"detail.state.value": "OK"})`."""

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.sources import envelope, registry
from domain.sources.mapping import MappedEvent

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aws"
RECEIVED_AT = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)

Message = Callable[..., dict[str, Any]]
Mapped = Callable[..., MappedEvent]


@pytest.fixture(scope="session")
def received_at() -> datetime:
    return RECEIVED_AT


@pytest.fixture(scope="session")
def fixtures() -> list[Path]:
    return sorted(FIXTURES.glob("*.json"))


@pytest.fixture(scope="session")
def message() -> Message:
    """A fixture by its name, with fields replaced by their dotted path (`a.0.b`); the value `...` removes one."""
    read = {path.stem: json.loads(path.read_text()) for path in FIXTURES.glob("*.json")}

    def changed(name: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = copy.deepcopy(read[name])
        for path, value in (changes or {}).items():
            *steps, last = path.split(".")
            at: Any = result
            for step in steps:
                at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
            if value is ...:
                at.pop(last, None)
            else:
                at[last] = value
        return result

    return changed


@pytest.fixture(scope="session")
def mapped(message: Message) -> Mapped:
    """What the registry makes of a fixture with changes."""

    def mapped_from(name: str, changes: Mapping[str, Any] | None = None) -> MappedEvent:
        return registry.map_envelope(envelope.read(message(name, changes)), received_at=RECEIVED_AT)

    return mapped_from
