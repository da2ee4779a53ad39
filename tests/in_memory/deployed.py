"""The tables that the deployment template defines."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ops import template

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
TABLES = {
    "EventsTable": "events",
    "ViewsTable": "views",
    "GuardsTable": "guards",
    "KeysTable": "keys",
    "OutboxTable": "outbox",
}
"""By their logical ids, their names in tests."""


@cache
def resources() -> Mapping[str, Any]:
    """The template's resources, by logical id."""
    found: Mapping[str, Any] = template.load(TEMPLATE)["Resources"]
    return found


def tables() -> dict[str, Any]:
    """The properties of the tables, by name."""
    return {name: resources()[logical_id]["Properties"] for logical_id, name in TABLES.items()}
