"""A web server for tests, good or bad, on the loopback interface."""

import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

Answer = Callable[[BaseHTTPRequestHandler], None]


class FileServer:
    """Answers by path; a path without a route is not found. A context manager.

    Attributes:
        url: The address of its root, without a slash at the end.
        requests: The paths that were asked for, in order.
    """

    def __init__(
        self, routes: Mapping[str, bytes | Answer], certificate: Path | None = None
    ) -> None:
        self.routes, self.requests = dict(routes), []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                answer = site.routes.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif isinstance(answer, bytes):
                    send(self, answer)
                else:
                    answer(self)

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the client has hung up, or refused the certificate
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def send(
    handler: BaseHTTPRequestHandler,
    content: bytes,
    *,
    length: int | None = None,
    kind: str = "text/plain",
) -> None:
    """Send a file, maybe with a length that is not its own."""
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header(
        "Content-Length", str(len(content) if length is None else length)
    )
    handler.end_headers()
    handler.wfile.write(content)


def cut(content: bytes) -> Answer:
    """Promise a file and send half of it."""
    half = content[: len(content) // 2]
    return lambda handler: send(handler, half, length=len(content))


def unsized(content: bytes) -> Answer:
    """Send a file without saying how long it is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def broken_chunks(content: bytes) -> Answer:
    """Send one of two chunks."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        half = content[: len(content) // 2]
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
        handler.close_connection = True

    return answer


def redirect(location: str) -> Answer:
    """Send the client elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def held(content: bytes, release: threading.Event) -> Answer:
    """Send half of a file and the rest when it is released."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        middle = len(content) // 2
        send(handler, content[:middle], length=len(content))
        release.wait(60)
        handler.wfile.write(content[middle:])

    return answer


def dripping(byte: bytes, seconds: float, stop: threading.Event) -> Answer:
    """Send a byte now and then, for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(seconds):
            handler.wfile.write(byte)

    return answer


def dripping_header(seconds: float, stop: threading.Event) -> Answer:
    """Send a header that never ends, a byte now and then."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        while not stop.wait(seconds):
            handler.wfile.write(b"a")

    return answer


def dripping_chunk(seconds: float, stop: threading.Event) -> Answer:
    """Send a chunk whose first line never ends, a byte now and then."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        while not stop.wait(seconds):
            handler.wfile.write(b"a")

    return answer


def endless(block: bytes) -> Answer:
    """Send without end and as fast as possible."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(block)

    return answer
