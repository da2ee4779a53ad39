"""What botocore's configuration gives to a call: `python -m benchmarks.client_tuning [--json] [--quick]`.

The same conditional `PutItem` by clients that differ in one setting each, taking turns, on one emulator.
`unsigned` is not for use: it shows what signing costs.
"""

import argparse
import random
import time
from typing import Any

from benchmarks import local
from benchmarks.report import Cost, Row, row, show
from benchmarks.work import Thunk, history
from commands.execution import new_id
from infra import clients
from infra.commits import to_item

SAMPLES = 1000
WARM_UP = 30


def clients_by_name() -> dict[str, Any]:
    """A default client, it with one setting more, ours, and ours with one setting more."""
    from botocore import UNSIGNED  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    def configured(**settings: Any) -> Any:
        return get_session().create_client("dynamodb", config=Config(**settings))

    ours = clients.dynamodb()
    more: dict[str, dict[str, Any]] = {
        "retries legacy": {"retries": {"mode": "legacy", "max_attempts": 4}},
        "retries adaptive": {"retries": {"mode": "adaptive", "max_attempts": 4}},
        "account_id_endpoint_mode=disabled": {"account_id_endpoint_mode": "disabled"},
        "checksums when required": {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        "disable_request_compression": {"disable_request_compression": True},
        "tcp_keepalive": {"tcp_keepalive": True},
        "inject_host_prefix=False": {"inject_host_prefix": False},
        "unsigned": {"signature_version": UNSIGNED},
    }
    return {
        "boto3, default": local.default_client(),
        "botocore, default": configured(),
        "parameter_validation=False": configured(parameter_validation=False),
        "user_agent": configured(user_agent="opsledger"),
        "retries standard": configured(retries={"mode": "standard", "max_attempts": 4}),
        "opsledger": ours,
        "opsledger, again": _like(ours, Config()),
        **{f"opsledger, {name}": _like(ours, Config(**settings)) for name, settings in more.items()},
    }


def _like(client: Any, change: Any) -> Any:
    """A client configured as this one is, and with the change."""
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    unseen = Config(parameter_validation=False)  # the only one of ours that a client's own configuration does not show
    return get_session().create_client("dynamodb", config=client.meta.config.merge(unseen).merge(change))


def put(client: Any) -> Thunk:
    """A new task's item, ready to be put."""
    request = {
        "TableName": local.EVENTS,
        "Item": to_item(history(new_id(), 1)[0]),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return lambda: client.put_item(**request)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client_tuning", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows for a program")
    parser.add_argument("--quick", action="store_true", help="fewer executions: a try, no result")
    options = parser.parse_args()
    with local.emulator():
        tried = clients_by_name()
        seconds: dict[str, list[float]] = {name: [] for name in tried}
        turn = list(tried)
        for number in range(-WARM_UP, 50 if options.quick else SAMPLES):
            random.shuffle(turn)
            for name in turn:
                thunk = put(tried[name])
                begun = time.perf_counter()
                thunk()
                taken = time.perf_counter() - begun
                if number >= 0:
                    seconds[name].append(taken)
    rows = [row("put-item", name, times, Cost(1, 1, 0)) for name, times in seconds.items()]
    show("One conditional PutItem", _compared(rows), as_json=options.json)


def _compared(rows: list[Row]) -> list[Row]:
    default = rows[0].p50_ms or 1.0
    return [Row(**{**vars(one), "note": f"{(one.p50_ms or 0) / default:.3f} x the default"}) for one in rows]


if __name__ == "__main__":
    main()
