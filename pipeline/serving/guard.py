"""Limits of size and time on requests, before a server reads them (ASGI)."""

from __future__ import annotations

import asyncio
import json

JSON = "application/json"


class Refused(Exception):
    """A request that is not passed on: its HTTP status, and the reason."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


class Gone(Exception):
    """The client has closed the connection."""


class Guard:
    """Passes on JSON bodies of limited size that come in limited time, and refuses others.

    Parameters
    ----------
    app : ASGI application
    largest : int
        Bytes of a body. More are read, so that the client sees the refusal, and not kept.
    seconds : float
        Time for the whole body.
    """

    def __init__(self, app, largest: int, seconds: float):
        self.app, self.largest, self.seconds = app, largest, seconds

    async def __call__(self, scope, receive, send) -> None:
        """Handle one connection; the server calls this."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except Gone:
            return
        except Refused as refusal:
            await _reply(send, refusal)
            return
        await self.app(scope, _once(body, receive), send)

    async def _body(self, scope, receive) -> bytes:
        headers = {name.lower(): value for name, value in scope["headers"]}
        kind = headers.get(b"content-type", b"").decode("latin-1")
        try:
            body = await asyncio.wait_for(_read(receive, self.largest), self.seconds)
        except TimeoutError:
            raise Refused(408, f"the body did not end within {self.seconds:g} s") from None
        if kind.partition(";")[0].strip().lower() != JSON:
            raise Refused(415, f"Content-Type: found {kind or 'none'!r}; send {JSON}")
        return body


async def _read(receive, largest: int) -> bytes:
    """Return a request's body.

    Raises
    ------
    Refused
        After the end of a body of more than `largest` bytes.
    Gone
        If the client ends before the body does.
    """
    body, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size <= largest:
            body += part
        more = message.get("more_body", False)
    if size > largest:
        limit = f"allowed are {largest:,}; send fewer images at a time"
        raise Refused(413, f"the body has {size:,} bytes; {limit}")
    return bytes(body)


def _once(body: bytes, receive):
    """Return a `receive` that gives a body that was read already, and then what comes next."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay():
        return parts.pop() if parts else await receive()

    return replay


async def _reply(send, refusal: Refused) -> None:
    text = json.dumps({"error_code": "BAD_REQUEST", "message": str(refusal)}).encode()
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(text)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
