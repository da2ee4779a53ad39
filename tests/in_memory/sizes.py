"""What items weigh and what reading and writing them costs.

From "DynamoDB item sizes and formats" and "Read and write capacity" in the DynamoDB Developer Guide.
"""

import math
from collections.abc import Mapping
from typing import Any

MAX_ITEM_BYTES = 400 * 1024
MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024
PAGE_BYTES = 1024 * 1024


def item_bytes(item: Mapping[str, Any]) -> int:
    """An item's size: its names in UTF-8 and its values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
    return _container_bytes(kind, content)


def write_units(size: int) -> int:
    """One per KB begun, and never none."""
    return max(1, math.ceil(size / 1024))


def read_units(size: int, *, consistent: bool) -> float:
    """One per 4 KB begun, and never none; half of it when eventually consistent."""
    units = max(1, math.ceil(size / 4096))
    return units if consistent else units / 2


def _container_bytes(kind: str, content: Any) -> int:
    match kind:
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(part) for name, part in content.items())
        case "L":
            return 3 + sum(1 + value_bytes(part) for part in content)
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: part}) for part in content)
    raise ValueError(f"no type of DynamoDB: {kind}")


def _number_bytes(text: str) -> int:
    """About one byte per two significant digits, and one more."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + text.startswith("-")
