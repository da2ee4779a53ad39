"""The monitoring config route of the write API: parse, decide, answer."""

from commands import wiring
from commands.execution import execute
from commands.orders import order_of
from domain.monitoring_config import CONFIG_ID, MONITORING_CONFIG, defaults, replace
from domain.monitoring_config_shape import MonitoringConfigShown, shown
from domain.replace_monitoring_config import ReplaceMonitoringConfig, checked
from infra.rest import Answer, Request


def put_monitoring_config(request: Request, body: ReplaceMonitoringConfig) -> Answer[MonitoringConfigShown]:
    """Replace the whole monitoring config.

    What GET answered can be changed and sent back. Only what really changed is recorded; the same config again changes
    nothing. Send `If-Match`, so that nobody's change is lost unseen.
    """
    outcome = execute(
        wiring.store(),
        MONITORING_CONFIG,
        CONFIG_ID,
        lambda config: replace(config, checked(body)),
        order_of(request),
        warm=wiring.warm(),
    )
    config = shown(outcome.state or defaults(), outcome.version)
    # The defaults have no stream yet for a reader to wait for.
    stream = MONITORING_CONFIG.stream(CONFIG_ID) if outcome.version else None
    return Answer(config, outcome.version, stream)
