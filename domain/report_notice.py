"""Whether and where people are told of a daily report: as the global settings of the monitoring config say."""

from domain.monitoring_config import MonitoringConfig
from domain.notifications import DEFAULT_RATE, Decision, Outcome
from domain.reports import ReportMade
from domain.told import ReportTold


def told_of(event: ReportMade, config: MonitoringConfig) -> ReportTold:
    """What a message shows of it; of the names of accounts, those that it mentions."""
    names = config.global_settings.account_names
    mentioned = {alert.account for alert in event.figures.alerts.noisiest}
    return ReportTold(
        day=str(event.ends_at.date()),
        starts_at=int(event.starts_at.timestamp()),
        ends_at=int(event.ends_at.timestamp()),
        figures=event.figures,
        account_names={account: name for account, name in names.items() if account in mentioned},
        timezone=config.global_settings.timezone,
    )


def decide(config: MonitoringConfig) -> Decision:
    """Sent at once, or to nobody: no rule is asked, and nobody's night is disturbed by it."""
    wanted = config.global_settings.daily_report
    channel = wanted.channel or config.global_settings.default_channel
    if not wanted.enabled:
        return Decision(channel=channel, outcome=Outcome.SUPPRESS, reason="the daily report is switched off")
    rates = {one.name: one.rate_per_minute for one in config.channels}
    return Decision(
        channel=channel,
        outcome=Outcome.SEND,
        reason="the daily report is switched on",
        rate_per_minute=rates.get(channel, DEFAULT_RATE),
    )
