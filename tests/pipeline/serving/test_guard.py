"""Requests that are too large, too slow or of another type do not reach the application."""

import asyncio
import json

import pytest

from pipeline.serving.guard import Guard

JSON_HEADER = [(b"Content-Type", b"application/json; charset=utf-8")]


def ask(parts, headers=JSON_HEADER, method="POST", pause=0.0):
    """Send a body in parts through a guard; return the status, the reply and the app's bodies."""
    seen, sent = [], []
    waiting = [{"type": "http.request", "body": p, "more_body": True} for p in parts[:-1]]
    waiting.append({"type": "http.request", "body": parts[-1], "more_body": False})

    async def app(scope, receive, send):
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive():
        await asyncio.sleep(pause)
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": headers}
    asyncio.run(Guard(app, largest=10, seconds=0.5)(scope, receive, send))
    status = sent[0]["status"] if sent else None
    return status, sent[1]["body"] if sent else b"", seen


def test_a_body_within_the_limits_passes_whole():
    assert ask([b"12345", b"67890"]) == (200, b"{}", [b"1234567890"])


def test_a_large_body_is_refused_and_not_kept():
    status, reply, seen = ask([b"123456789", b"01", b"2" * 1000])
    assert (status, seen) == (413, [])
    assert "1,011 bytes; allowed are 10" in json.loads(reply)["message"]


@pytest.mark.parametrize("headers", [[], [(b"content-type", b"text/csv")]])
def test_another_type_is_refused(headers):
    status, reply, seen = ask([b"1"], headers)
    assert (status, seen) == (415, [])
    assert "send application/json" in json.loads(reply)["message"]


def test_a_slow_body_is_refused():
    status, reply, seen = ask([b"1"], pause=3600)
    assert (status, seen) == (408, [])
    assert "within 0.5 s" in json.loads(reply)["message"]


def test_a_client_that_leaves_gets_no_reply():
    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "headers": JSON_HEADER}
    asyncio.run(Guard(None, 10, 5)(scope, receive, None))


def test_other_methods_pass():
    assert ask([b""], headers=[], method="GET")[0] == 200
