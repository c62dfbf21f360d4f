"""Webhooks: signed, sent to the app's hook URL, and kept for being sent again."""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.fake_github.records import Attempt, Delivery, UnknownError
from tests.support.fake_github.state import State

ANSWER_SECONDS = 10.0
"""GitHub: "your server should respond ... within 10 seconds"."""
MOST_BODY_BYTES = 65536
AGENT = "GitHub-Hookshot/fa2e000"
HTTPS_PORT = 443


@dataclass(slots=True)
class Hooks:
    """The app's webhook."""

    state: State
    url: str | None = None
    """None: nothing is delivered."""
    ca_file: Path | None = None
    address: str = "127.0.0.1"
    """Where the URL's host is: names below localhost resolve everywhere but in many C libraries."""
    timeout_seconds: float = ANSWER_SECONDS

    def deliver(
        self,
        event: str,
        payload: Any,
        *,
        guid: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Delivery:
        """Sends a webhook. The state's lock must not be held: who gets it may call the API."""
        sent = json.dumps(payload, separators=(",", ":")).encode() if body is None else body
        delivery = Delivery(
            guid=guid or str(uuid.uuid4()),
            event=event,
            payload=payload,
            sent_headers={},
            sent_body=sent,
            secret=secret,
            overrides=dict(headers or {}),
        )
        return self._attempt(delivery)

    def redeliver(self, guid: str) -> Delivery:
        """Sends a webhook once more, with its GUID and body, signed with the present secret."""
        with self.state.lock:
            if guid not in self.state.deliveries:
                raise UnknownError(f"delivery {guid}")
            delivery = self.state.deliveries[guid]
        return self._attempt(delivery)

    def _attempt(self, delivery: Delivery) -> Delivery:
        if self.url is None:
            raise AssertionError("the fake GitHub was given no hook URL")
        headers = self._headers(delivery)
        attempt = self._send(self.url, headers, delivery.sent_body)
        with self.state.changed:
            earlier = self.state.deliveries.get(delivery.guid)
            attempts = (*(earlier.attempts if earlier else ()), attempt)
            done = replace(delivery, sent_headers=headers, attempts=attempts)
            self.state.deliveries[delivery.guid] = done
            self.state.changed.notify_all()
            return done

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        app, body = self.state.app, delivery.sent_body
        secret = (app.webhook_secret if delivery.secret is None else delivery.secret).encode()
        headers: dict[str, str | None] = {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "X-GitHub-Delivery": delivery.guid,
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Hook-ID": str(app.hook_id),
            "X-GitHub-Hook-Installation-Target-ID": str(app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-Hub-Signature": "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": sign(body, secret.decode()),
        }
        named = {name.lower() for name in delivery.overrides}
        kept = {name: value for name, value in headers.items() if name.lower() not in named}
        return {name: value for name, value in (kept | dict(delivery.overrides)).items() if value is not None}

    def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        at = self.state.clock.now()
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        connection = http.client.HTTPConnection(host, port, timeout=self.timeout_seconds)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            plain = socket.create_connection((self.address, port), self.timeout_seconds)
            try:
                connection.sock = context.wrap_socket(plain, server_hostname=host)
            finally:
                if connection.sock is None:
                    plain.close()
            connection.request("POST", target, body, dict(headers))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Attempt(at=at, status=answer.status, headers=told, body=answer.read(MOST_BODY_BYTES))
        except (OSError, http.client.HTTPException) as error:
            return Attempt(at=at, status=0, headers={}, body=b"", error=f"{type(error).__name__}: {error}")
        finally:
            connection.close()


def sign(body: bytes, secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
