"""Single measurements for CloudWatch, each a line of its embedded metric format in the log, which costs no call."""

import os


def gauge(name: str, unit: str, value: float, **dimensions: str) -> None:
    """Write how large something is now.

    Args:
        unit: one of CloudWatch's, such as `Seconds` or `Count`.
        dimensions: beside the stage, which keeps the stages of one account apart.
    """
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415 - only where it is measured

    told = {"stage": os.environ.get("STAGE", "none"), **dimensions}
    with single_metric(name, unit=MetricUnit(unit), value=value, namespace="opsledger", default_dimensions=told):
        pass


def notification_failed() -> None:
    """Somebody was not told of something: an alarm of the template stands on it."""
    gauge("NotificationsFailed", "Count", 1)
