"""A small client of opsledger's own API, for the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from ops.errors import OpsError


class ApiClient:
    """Calls the API as one user.

    Args:
        url: of the API, with its stage and without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(timeout=30, retries=False)
        self._headers: dict[str, str] = {}

    def log_in(self, email: str, password_file: Path) -> None:
        """Log in with the password in a file.

        Raises:
            OpsError: the API refuses.
        """
        password = password_file.read_text().strip()
        token = self.call("POST", "/auth/login", {"email": email, "password": password})["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: object = None, query: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON.

        Raises:
            OpsError: the API cannot be reached or answers with a problem.
        """
        status, answer = self.try_call(method, path, body, query)
        if status >= 400:
            raise OpsError(f"{method} {path} answered {status}: {answer.get('detail', answer)}".rstrip("."))
        return answer

    def try_call(
        self, method: str, path: str, body: object = None, query: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """The answer's status and JSON, whatever the status.

        Raises:
            OpsError: the API cannot be reached, or answers with something that is not JSON.
        """
        headers = {**self._headers, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._pool.request(
                method, url, headers=headers, body=None if body is None else json.dumps(body).encode()
            )
            return answer.status, json.loads(answer.data)
        except urllib3.exceptions.HTTPError as error:
            raise OpsError(f"the API at {self._url} cannot be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise OpsError(f"{method} {path} answered {answer.status} with something that is not JSON") from error
