"""Serve the workbench on this machine, and open it in a browser."""

import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable

from satsuma.errors import MissingExtraError, UserError
from satsuma.workbench.subjects import Workbench

LOOPBACK = "127.0.0.1"
NICENESS = 5  # training on the same cores goes first


def serve(bench: Workbench, *, port: int = 0, browser: bool = True, say: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C. `port`: 0 takes a free one. `say` is told the address, which holds the token."""
    try:
        import uvicorn

        from satsuma.workbench.app import make_app
    except ImportError as error:
        raise MissingExtraError(f"the workbench needs {error.name}: pip install 'satsuma[workbench]'") from error
    listening = bound_socket(port)
    number = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    app = make_app(bench, token=token, port=number)
    address = f"http://{LOOPBACK}:{number}/?token={token}"
    say(f"the workbench: {address}")
    say("it answers this machine only; Ctrl-C ends it")
    threading.Thread(target=warm_up, name="workbench-warm-up", daemon=True).start()  # before it gives way to others
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if browser:
        threading.Timer(0.3, webbrowser.open, (address,)).start()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listening])


def warm_up() -> None:
    """Load what draws figures, which takes a second or more, so that the first page does not wait for it."""
    from satsuma.hooks.curves import plot_curves

    plot_curves([1.0, 0.5], [2], [0.7]).svg()


def bound_socket(port: int) -> socket.socket:
    """A socket that listens on this machine's own address; `UserError` if the port is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # who is quicker than the server waits, and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError(f"--port {port}: cannot be used ({error}); leave it out to take a free one") from error
    return listening
