"""The first admin of a stage, and the file that keeps the password."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops import stack
from ops.aws import SessionConfig
from ops.errors import OpsError

if TYPE_CHECKING:
    from infra.guards import Guards

EMAIL = "admin@example.com"
FULL_NAME = "First admin"


@dataclass(frozen=True)
class AdminCredentials:
    """Who may log in. The password stands in a file that only its owner can read, and is never printed."""

    email: str
    password_file: Path


def ensure_admin(config: SessionConfig, *, folder: Path, email: str = EMAIL) -> AdminCredentials:
    """Make sure that the stage has an admin whose password lies in `folder`.

    The files are written before the user is registered, so that an interruption leaves no admin whose password
    nobody has: the next call finds the files, and goes on.

    Raises:
        StateConflictError: the address is registered, but not by the files in `folder`.
    """
    known = known_admin(folder)
    if known and _guards(config, stack.outputs(config)).owner_of_email(known.email):
        return known
    password = _kept_password(folder / "admin-password")
    (folder / "admin.json").write_text(json.dumps({"email": email}) + "\n")
    create_admin(config, email=email, full_name=FULL_NAME, password=password)
    return AdminCredentials(email, folder / "admin-password")


def create_admin(config: SessionConfig, *, email: str, full_name: str, password: str) -> None:
    """Register an admin.

    Raises:
        OpsError: the stage is not deployed, or a field breaks a rule.
        StateConflictError: the address is registered already.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - 0.5 s that few commands need

    from commands.execution import Order, new_id, now  # noqa: PLC0415
    from commands.users import Users  # noqa: PLC0415
    from domain.permissions import Role  # noqa: PLC0415
    from domain.users import Password, RegisterUser  # noqa: PLC0415
    from infra.event_store import DynamoDBEventStore  # noqa: PLC0415
    from infra.passwords import hashed  # noqa: PLC0415
    from infra.personal_data import DynamoDBDataKeys, PersonalData  # noqa: PLC0415

    try:
        command = RegisterUser(email=email, full_name=full_name, role=Role.ADMIN)
        TypeAdapter(Password).validate_python(password)
    except ValidationError as error:
        # The input is left out: it may be the password.
        faults = error.errors(include_input=False, include_url=False)
        told = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'the password'}: {fault['msg']}" for fault in faults)
        raise OpsError(told.replace("Value error, ", ""), exit_code=2) from None
    events_table = stack.required_output(config, "EventsTable")
    found = stack.outputs(config)
    client = config.client("dynamodb")
    keys = DynamoDBDataKeys(client, found["KeysTable"], lambda: config.client("kms"), found["DataKeyArn"])
    users = Users(DynamoDBEventStore(client, events_table), _guards(config, found), PersonalData(keys))
    order = Order(by="system:setup", at=now(), correlation_id=new_id(), causation_id="setup")
    users.register(new_id(), command, hashed(password), order)


def known_admin(folder: Path) -> AdminCredentials | None:
    """The admin that `ensure_admin` made, if it did, or was about to."""
    file = folder / "admin.json"
    if not file.exists():
        return None
    return AdminCredentials(json.loads(file.read_text())["email"], folder / "admin-password")


def _guards(config: SessionConfig, found: dict[str, str]) -> "Guards":
    from infra.guards import Guards  # noqa: PLC0415

    secret = config.client("secretsmanager").get_secret_value(SecretId=found["GuardKeySecretArn"])
    return Guards(
        config.client("dynamodb"), found["GuardsTable"], json.loads(secret["SecretString"])["current"].encode()
    )


def _kept_password(file: Path) -> str:
    """The password in the file, or a new one, which is put there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(24) + "\n")
    return file.read_text().strip()
