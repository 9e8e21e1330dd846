"""Secrets of an API: where they go in a request, and how they stay out of every message."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from transforms.contracts.servers.api import ApiServer
from transforms.settings import Settings
from transforms.sources.delivery import UnreadableError


@dataclass(frozen=True)
class Credentials:
    """Headers and query parameters that prove who asks, and the texts that no message may show."""

    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """The text without secrets, plain or percent-encoded, and without control characters."""
        for secret in sorted(filter(None, self.secrets), key=len, reverse=True):
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def credentials_of(server: ApiServer, settings: Settings) -> Credentials:
    """The secrets that a contract names, ready to be sent.

    Raises:
        UnreadableError: a secret is not set, or could not stand in a header.
    """
    auth = server.auth
    if auth is None:
        return Credentials()
    try:
        # Secrets read from files bring the file's last line end with them.
        secret = settings.secret(auth.secret).strip() if auth.secret else ""
        user = settings.secret(auth.username).strip() if auth.username else ""
    except KeyError as error:
        raise UnreadableError(f"{server.location}: {error.args[0]}") from None
    if auth.type == "http_basic":
        encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
        return Credentials({"Authorization": f"Basic {encoded}"}, secrets=(encoded, secret, user))
    if auth.location == "query":
        return Credentials(params={auth.name: secret}, secrets=(secret,))
    if not (secret.isascii() and secret.isprintable()):
        message = f"the secret '{auth.secret}' holds a line break or a letter that no header carries"
        raise UnreadableError(f"{server.location}: {message}; set it anew")
    value = f"Bearer {secret}" if auth.type == "bearer" else secret
    return Credentials({auth.name: value}, secrets=(secret,))
