"""What the API's functions load when they start. Somebody waits for it, so nothing gets in unnoticed."""

import json
import subprocess
import sys

import pytest

from infra.settings import GARBAGE_THRESHOLD


def loaded(code: str) -> set[str]:
    """The modules that a new interpreter has loaded after some code."""
    program = f"{code}\nimport json, sys\nprint(json.dumps([name for name, found in sys.modules.items() if found]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("function", "needless"),
    [
        ("queries.api", {"cryptography", "boto3", "jinja2", "bcrypt"}),
        ("commands.api", {"cryptography", "boto3", "jinja2"}),  # it hashes passwords
    ],
)
def test_no_function_loads_what_it_may_not_need(function: str, needless: set[str]) -> None:
    assert loaded(f"import {function}") & needless == set()


def test_the_write_function_loads_no_views() -> None:
    assert loaded("import commands.api") & {"pynamodb", "queries", "projections"} == set()


def test_tokens_know_no_algorithm_but_those_of_one_key() -> None:
    program = "from infra.hmac_jwt import jwt; print(' '.join(sorted(jwt.PyJWS().get_algorithms())))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["HS256", "HS384", "HS512", "none"]


def test_cryptography_can_be_loaded_afterwards() -> None:
    assert "cryptography.hazmat.primitives.ciphers.aead" in loaded(
        "import infra.hmac_jwt\nfrom cryptography.hazmat.primitives.ciphers import aead"
    )


def test_all_models_share_the_one_botocore_session() -> None:
    program = """
from infra import clients
from infra.outbox import Notification
from infra.views import Row
for model in (Row, Notification):
    assert model._get_connection().connection.session is clients.session()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_garbage_is_looked_for_less_often() -> None:
    program = "import queries, gc; print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == GARBAGE_THRESHOLD
