"""Serve a program's outputs over HTTP on the loopback interface, with MLflow's protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from pipeline.errors import ConfigError
from pipeline.serving.guard import JSON, Guard
from pipeline.serving.served_model import served_model
from simulator import Program
from simulator.malformed import MALFORMED, brief

LOOPBACK = "127.0.0.1"
LARGEST = 64 << 20
"""Bytes of a request's body: 80 images of 224 x 224 x 3 as JSON."""
SECONDS = 60.0
"""Time for a request's body to arrive."""
CLIENTS = 64
"""Requests at a time; further ones get status 503. With `LARGEST` this bounds the memory."""


def serve(program: Program, port: int, *, announce: Callable[[str], None]) -> None:
    """Serve a program until the process is interrupted.

    Parameters
    ----------
    program : Program
    port : int
        Port of the loopback interface; 0 for any that is free.
    announce : function of str
        Gets the address for requests, when the server accepts them.

    Raises
    ------
    ConfigError
        If the port is in use.
    """
    import uvicorn

    app = Guard(application(program), LARGEST, SECONDS)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            reason = f"cannot be served on ({error.strerror})"
            raise ConfigError(f"port {port}: {reason}; choose another one") from None
        listener.listen()
        announce(f"http://{LOOPBACK}:{listener.getsockname()[1]}/invocations")
        options = {"log_level": "warning", "limit_concurrency": CLIENTS, "lifespan": "off"}
        uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listener])


def application(program: Program):
    """Return MLflow's scoring application for a program, which refuses what it cannot read.

    Returns
    -------
    fastapi.FastAPI
        Routes ``/invocations``, ``/ping``, ``/health`` and ``/version`` as of
        ``mlflow models serve``.
    """
    from fastapi.responses import Response
    from mlflow.pyfunc import scoring_server

    app = scoring_server.init(served_model(program))

    async def refuse(request, error) -> Response:
        message = f"the request cannot be read: {brief(error)}"
        body = json.dumps({"error_code": "BAD_REQUEST", "message": message})
        return Response(body, status_code=400, media_type=JSON)

    for kind in MALFORMED:
        app.add_exception_handler(kind, refuse)
    return app
