"""The real template and the real artifact, deployed once for all tests here on an emulator of their own."""

from collections.abc import Iterator

import pytest
import urllib3

from ops import paths
from ops.local_stack import LocalStack
from tests.e2e.system import Api, Person, Slack, System

MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(maxsize=25) as made:
        yield made


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, pool: urllib3.PoolManager, slack: Slack) -> Iterator[System]:
    """The deployed system, its messages going to `slack`."""
    if not paths.EMULATOR_PYTHON.exists():
        pytest.skip("`sh ops/bootstrap.sh` installs the emulator")
    with LocalStack(tmp_path_factory.mktemp("e2e") / "stack", enforce_iam=True) as stack:
        stack.deploy()
        deployed = System(stack, pool)
        deployed.configure_webhook(slack.webhook)  # before the first message: functions keep the secret for a minute
        deployed.lift_rate_limit()
        yield deployed


@pytest.fixture(scope="session")
def token_key(system: System) -> str:
    """The key that the stack signs tokens with."""
    return system.secret(system.status.token_secret)


@pytest.fixture(scope="session")
def admin(system: System) -> Api:
    """The API as the first admin."""
    return system.log_in()


@pytest.fixture(scope="session")
def person(system: System) -> Person:
    """The API as somebody with the role `user`."""
    return system.register("Grace Hopper")


@pytest.fixture
def empty_queues(system: System) -> Iterator[None]:
    """Takes away what a test left behind: what it did not wait for must hold up no other test."""
    yield
    for url in (system.status.ingest_queue_url, system.status.ingest_dead_letter_queue_url):
        system.client("sqs").purge_queue(QueueUrl=url)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are printed at the end."""
    return request.config.stash.setdefault(MEASURED, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)
