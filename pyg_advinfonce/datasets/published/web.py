"""HTTP access with verified certificates and no redirect from https to http."""

import io
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from pyg_advinfonce.errors import ConfigError, DataWarning, DownloadError

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 2**16
MAX_TIMEOUTS = 60
"""Deadline of a file with its redirects and headers, in timeouts."""


@dataclass(frozen=True)
class WebAccess:
    """Settings of HTTP access.

    Plain http is allowed for the local machine only.

    Args:
        insecure: Host that may use http and whose certificate is not verified; raises
            a warning.
        timeout: Timeout of a connection and of a read, in seconds.
    """

    insecure: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        host = self.insecure
        if not self.timeout > 0:
            raise ConfigError(f"timeout must be positive (got {self.timeout})")
        if host is not None and (not host or set(host) & set("/?#@ *")):
            raise ConfigError(f"--insecure expects a host name (got '{host}')")

    def check(self, url: str) -> SplitResult:
        """Return the parts of a valid URL.

        Raises:
            ConfigError: If the URL is invalid, not encrypted or holds a password.
        """
        if "@" in url.partition("//")[2].partition("/")[0]:  # keep it secret
            raise ConfigError("expected a URL without user name and password")
        try:
            parts = urlsplit(url)
            is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_web = is_web and parts.port != 0  # raises if it is not a number
        except ValueError:
            is_web = False
        if not is_web or any(not "!" <= letter <= "~" for letter in url):
            raise ConfigError(f"expected a URL like https://host/path (got {url!r})")
        is_safe = parts.scheme == "https" or _is_this_machine(parts)
        if not is_safe and not self._is_insecure(parts):
            raise ConfigError(
                f"{url}: expected https, since http is not encrypted: use https, or "
                f"--insecure {parts.hostname}"
            )
        return parts

    def read(self, url: str, limit: int, received: Callable[[int], object]) -> bytes:
        """Return the content of a URL, possibly cut off or one byte too long.

        Args:
            url: The URL.
            limit: Expected maximum of bytes; at most one more is read.
            received: Called with the size of every chunk.

        Raises:
            ConfigError: If the URL is not allowed.
            DownloadError: If no content is received; the message says why.
        """
        content = bytearray()
        deadline = time.monotonic() + MAX_TIMEOUTS * self.timeout
        with self._open(url, deadline) as response:
            while size := min(limit + 1 - len(content), CHUNK):
                try:
                    chunk = response.read1(size)
                except TimeoutError:
                    reason = self._late("no data received for", deadline)
                    raise DownloadError(f"{url}: {reason}") from None
                except (OSError, HTTPException):  # cut off: the caller checks
                    break
                if not chunk:
                    break
                content += chunk
                received(len(chunk))
        return bytes(content)

    def _late(self, reason: str, deadline: float) -> str:
        """Return why a read has timed out."""
        if time.monotonic() < deadline:
            return f"{reason} {self.timeout:g} s"
        return f"incomplete after {MAX_TIMEOUTS * self.timeout:g} s"

    def _open(self, url: str, deadline: float) -> HTTPResponse:
        """Follow redirects and return the last response."""
        for _ in range(MAX_REDIRECTS + 1):
            parts = self.check(url)
            response = self._request(url, parts, deadline)
            if response.status == HTTPStatus.OK:
                return response
            response.close()
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                raise DownloadError(f"{url}: HTTP status {response.status}")
            try:
                target = self.check(urljoin(url, location))
            except ValueError as error:
                raise DownloadError(f"{url} redirects: {error}") from None
            is_downgrade = parts.scheme == "https" and target.scheme == "http"
            if is_downgrade and not self._is_insecure(target):
                message = f"{url} redirects from https to {target.geturl()}: refused"
                raise DownloadError(message)
            url = target.geturl()
        raise DownloadError(f"{url}: more than {MAX_REDIRECTS} redirects")

    def _request(self, url: str, parts: SplitResult, deadline: float) -> HTTPResponse:
        context = ssl.create_default_context()
        if self._is_insecure(parts):
            message = f"certificate of {parts.hostname} is not verified, only the "
            warnings.warn(f"{message}hashes of files are", DataWarning, stacklevel=4)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        opener = OpenerDirector()  # the default opens ftp and files, and redirects
        opener.add_handler(ProxyHandler({} if _is_this_machine(parts) else None))
        opener.add_handler(_Http(deadline))
        opener.add_handler(_Https(deadline, context=context))
        request = Request(url, headers={"User-Agent": "pyg-advinfonce"})
        try:
            return cast("HTTPResponse", opener.open(request, timeout=self.timeout))
        except (OSError, HTTPException, UnicodeError) as error:
            cause = getattr(error, "reason", error)
            reason = (
                getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            )
            if isinstance(cause, TimeoutError):
                reason = self._late("no answer within", deadline)
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = (
                    f"certificate cannot be verified ({cause.verify_message}); "
                    f"--insecure {parts.hostname} accepts it"
                )
            raise DownloadError(f"{url}: {' '.join(reason.split())}") from error

    def _is_insecure(self, parts: SplitResult) -> bool:
        return self.insecure is not None and parts.hostname == self.insecure.lower()


class _Punctual(io.RawIOBase):
    """Bytes of a socket until a deadline, however slowly they come."""

    def __init__(
        self, source: io.RawIOBase, link: socket.socket, deadline: float
    ) -> None:
        self._source, self._link, self._deadline = source, link, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._link.settimeout(min(left, self._link.gettimeout() or left))
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Response(HTTPResponse):
    """A response whose status line, headers and content end at a deadline."""

    def __init__(self, link: socket.socket, *, deadline: float, method: str) -> None:
        super().__init__(link, method=method)
        self.fp = io.BufferedReader(_Punctual(self.fp.detach(), link, deadline))


class _Http(HTTPHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def do_open(self, http_class: Any, req: Request, **options: Any) -> HTTPResponse:  # noqa: ANN401
        def connect(*args: Any, **kwargs: Any) -> HTTPConnection:  # noqa: ANN401
            connection: HTTPConnection = http_class(*args, **kwargs)
            made = partial(_Response, deadline=self._deadline)
            connection.response_class = made  # type: ignore[assignment]
            return connection

        return super().do_open(connect, req, **options)


class _Https(_Http, HTTPSHandler):
    def __init__(self, deadline: float, context: ssl.SSLContext) -> None:
        HTTPSHandler.__init__(self, context=context)
        self._deadline = deadline


def _is_this_machine(parts: SplitResult) -> bool:
    """Return whether a URL stays on the loopback interface."""
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
