"""A state that comes to mean something else must not be read from an old snapshot."""

import hashlib
import json

import pytest
from pydantic import TypeAdapter

from domain.registry import DECIDERS

KNOWN = {
    # kind: (the decider's schema, a digest of the shape of its state)
    "event": (1, "df4e2ff9dc07c887"),
    "task": (1, "343a83d1f1eab3df"),
    "user": (1, "7fd1c9d42ca5c13b"),
}


@pytest.mark.parametrize("category", sorted(DECIDERS))
def test_a_state_of_another_shape_has_another_schema_number(category: str) -> None:
    decider = DECIDERS[category]
    shape = json.dumps(TypeAdapter(decider.state_type).json_schema(), sort_keys=True)
    digest = hashlib.sha256(shape.encode()).hexdigest()[:16]
    assert (decider.schema, digest) == KNOWN[category], (
        f"the state of {category} has another shape: raise the decider's `schema`, and note its digest above"
    )
