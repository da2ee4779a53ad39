"""Talking to AWS: the real one as the environment says, or the local emulator and never anything else."""

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.emulator import ACCOUNT, REGION
from ops.errors import OpsError
from ops.ports import HOST

if TYPE_CHECKING:
    import boto3

LOCAL_STAGE = "local"


@dataclass(frozen=True)
class SessionConfig:
    """Which AWS, as whom.

    Attributes:
        stage: `local`, or the name of a deployed stage.
        endpoint_url: the emulator's address; None for the AWS that the environment points at (its profile, region,
            credentials and `AWS_ENDPOINT_URL` are boto3's own business then).
    """

    stage: str
    endpoint_url: str | None = None

    @classmethod
    def local(cls, port: int) -> "SessionConfig":
        """The emulator that listens on that port of this machine."""
        return cls(LOCAL_STAGE, f"http://{HOST}:{port}")

    @property
    def is_local(self) -> bool:
        """Whether this is the emulator of `opsledger up`."""
        return self.endpoint_url is not None

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack's name."""
        return f"opsledger-{self.stage}"

    def session(self) -> "boto3.Session":
        """A boto3 session.

        For the emulator nothing of this machine's AWS configuration is read: a profile or cached credentials could
        otherwise send a local command to a real account.
        """
        import boto3  # noqa: PLC0415 — 0.3 s, and not every command needs it
        import botocore.session  # noqa: PLC0415

        if not self.is_local:
            # Every AWS tool reads AWS_REGION, only boto3 does not.
            return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        nothing: dict[str, tuple[str | None, str | None, str | None, None]] = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        return boto3.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",  # noqa: S106 — the emulator's, which knows no other
            region_name=REGION,
            botocore_session=botocore.session.Session(session_vars=nothing),
        )

    def client(self, service: str) -> Any:
        """A boto3 client of that service."""
        # The emulator's clients depend on nothing but its address, so one of each is enough.
        return _kept_client(self, service) if self.is_local else self._new_client(service)

    def _new_client(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        # An empty dictionary also keeps the environment's proxy out of calls to this machine.
        options: dict[str, Any] = {"proxies": {}} if self.is_local else {}
        # Longer than a function that is called may take, so that its own time-out is told and it is not called again.
        config = Config(retries={"mode": "standard", "max_attempts": 5}, read_timeout=90, **options)
        try:
            # The service's name is no literal here, which the stubs ask for.
            return self.session().client(service, endpoint_url=self.endpoint_url, config=config)  # type: ignore[call-overload]
        except BotoCoreError as error:
            raise as_ops_error(error) from error

    @property
    def region(self) -> str:
        """The region's name.

        Raises:
            OpsError: the environment names none.
        """
        region = self.session().region_name
        if not region:
            raise OpsError("no AWS region is set", "Set AWS_REGION, or a region in your AWS profile")
        return region


@functools.cache
def _kept_client(config: SessionConfig, service: str) -> Any:
    return config._new_client(service)  # noqa: SLF001 — the same subject, outside only for the cache


def as_ops_error(error: Exception) -> OpsError:
    """What a failure of a call to AWS means to the person at the command line.

    Args:
        error: botocore's `ClientError` (AWS refused) or `BotoCoreError` (the call could not be made).
    """
    from botocore.exceptions import (  # noqa: PLC0415
        ClientError,
        EndpointConnectionError,
        NoCredentialsError,
        NoRegionError,
        ProfileNotFound,
        TokenRetrievalError,
    )

    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, NoCredentialsError | TokenRetrievalError | ProfileNotFound):
        return OpsError(f"there are no AWS credentials to work with ({text})", "Sign in, or set AWS_PROFILE")
    if isinstance(error, NoRegionError):
        return OpsError("no AWS region is set", "Set AWS_REGION, or a region in your AWS profile")
    if isinstance(error, EndpointConnectionError):
        return OpsError(text, "For the local stack: `make up`; else check AWS_ENDPOINT_URL and the network")
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code.startswith(("AccessDenied", "UnrecognizedClient", "InvalidClientTokenId", "ExpiredToken")):
            return OpsError(f"AWS refused the call: {text}", "Use credentials that may do this")
        return OpsError(f"AWS refused the call: {text}")
    return OpsError(text)
