"""The guards on moto; on the emulator the same runs in `tests/e2e/test_event_store.py`."""

from collections.abc import Iterator
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from tests.contract.aws import NewClient
from tests.contract.guards import GuardsContract


@pytest.fixture(scope="module")
def new_client() -> Iterator[NewClient]:
    """Clients of an AWS account without anything in it. They share what is slow to make."""
    with mock_aws():
        session: Any = boto3.Session("test", "test", region_name="eu-central-1")
        yield session.client


class TestOnMoto(GuardsContract):
    is_real: ClassVar = False
