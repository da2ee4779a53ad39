"""An emulator of the benchmark's own, its tables, and the clients that talk to it."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ops.emulator import ACCOUNT, REGION, Emulator
from ops.ports import HOST

EVENTS = "bench-events"
REPLAYED = "bench-replayed"
PER_EVENT = "bench-item-per-event"
PER_EVENT_REPLAYED = "bench-item-per-event-replayed"
GUARDS = "bench-guards"
LIBRARY = "bench-library"


@contextmanager
def emulator() -> Iterator[str]:
    """Start one, point this process's AWS environment at it, make the tables. Yields its address."""
    with tempfile.TemporaryDirectory(prefix="opsledger-bench-") as folder:
        running = Emulator(Path(folder) / "emulator", enforce_iam=False)
        address = f"http://{HOST}:{running.start().port}"
        try:
            use(address)
            _make_tables()
            yield address
        finally:
            running.stop()


def use(address: str) -> None:
    """Have every client of this process talk to that address, and to nothing else."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("AWS_"):
            del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def default_client() -> Any:
    """What a user of boto3 has who configures nothing."""
    import boto3  # noqa: PLC0415 - after `use`

    return boto3.client("dynamodb")


def fill(client: Any, table: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Write items, fast and without condition."""
    remaining = iter(items)
    while some := list(islice(remaining, 25)):
        unwritten: Any = {table: [{"PutRequest": {"Item": item}} for item in some]}
        while unwritten:
            unwritten = client.batch_write_item(RequestItems=unwritten)["UnprocessedItems"]


def _make_tables() -> None:
    client = default_client()
    numbered = (("pk", "S"), ("sk", "N"))
    tables = {
        EVENTS: numbered,
        REPLAYED: numbered,
        PER_EVENT: numbered,
        PER_EVENT_REPLAYED: numbered,
        GUARDS: (("pk", "S"),),
        LIBRARY: (("originator_id", "S"), ("originator_version", "N")),
    }
    for table, key in tables.items():
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in key],
            KeySchema=[
                {"AttributeName": name, "KeyType": role}
                for (name, _), role in zip(key, ("HASH", "RANGE"), strict=False)
            ],
        )
