"""The root of everything immutable in the domain.

Pydantic builds a model's validator when it is first used (`defer_build`): a function imports many models and uses few.
"""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable value. Unknown fields are refused, so that a misspelt one is never silently lost."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
