"""HTTP access: certificates are verified and redirects never lose encryption."""

import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import cast
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
TIMEOUTS = 60  # the most that one file may take, however steadily it drips


@dataclass(frozen=True)
class WebAccess:
    """How addresses are read.

    Plain http is accepted from this machine alone.

    Args:
        insecure: The one host whose certificate is not checked and that may use http;
            with a warning.
        timeout: The most seconds to wait for a sign of life.
    """

    insecure: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        host = self.insecure
        if not self.timeout > 0:
            raise ConfigError(f"timeout must be positive (got {self.timeout})")
        if host is not None and (not host or set(host) & set("/?#@ *")):
            raise ConfigError(f"--insecure wants a host's name alone (got '{host}')")

    def check(self, url: str) -> SplitResult:
        """Return the parts of an address that may be read.

        Raises:
            ConfigError: If it may not, is no address or holds a password.
        """
        if "@" in url.partition("//")[2].partition("/")[0]:  # it is not repeated
            raise ConfigError("expected an address without a user's name and password")
        try:
            parts = urlsplit(url)
            is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_web = is_web and parts.port != 0  # the port raises where it is no number
        except ValueError:
            is_web = False
        if not is_web or any(not "!" <= letter <= "~" for letter in url):
            raise ConfigError(
                f"expected an address like https://host/path (got {url!r})"
            )
        is_safe = parts.scheme == "https" or _is_this_machine(parts)
        if not is_safe and not self._is_insecure(parts):
            raise ConfigError(
                f"{url}: expected https, since http protects nothing: use https, or "
                f"--insecure {parts.hostname}"
            )
        return parts

    def read(self, url: str, limit: int, received: Callable[[int], object]) -> bytes:
        """Return what an address sends, until it ends, breaks off or is too much.

        Args:
            url: The address.
            limit: How many bytes are expected at most; one more is read, none beyond.
            received: Called with the size of every piece.

        Raises:
            ConfigError: If the address may not be read.
            DownloadError: If nothing comes that could be data; it says why.
        """
        content, seconds = bytearray(), TIMEOUTS * self.timeout
        until = time.monotonic() + seconds
        with self._open(url) as response:
            while size := min(limit + 1 - len(content), CHUNK):
                try:
                    chunk = response.read1(size)
                except TimeoutError:
                    message = f"{url}: nothing came for {self.timeout:g} s"
                    raise DownloadError(message) from None
                except (OSError, HTTPException):  # broken off: the content will tell
                    break
                if not chunk:
                    break
                content += chunk
                received(len(chunk))
                if time.monotonic() > until:
                    raise DownloadError(f"{url}: not complete after {seconds:g} s")
        return bytes(content)

    def _open(self, url: str) -> HTTPResponse:
        """Return the response at the end of all redirects."""
        for _ in range(MAX_REDIRECTS + 1):
            parts = self.check(url)
            response = self._request(url, parts)
            if response.status == HTTPStatus.OK:
                return response
            response.close()
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                raise DownloadError(f"{url}: answered by HTTP status {response.status}")
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

    def _request(self, url: str, parts: SplitResult) -> HTTPResponse:
        context = ssl.create_default_context()
        if self._is_insecure(parts):
            message = f"{parts.hostname} is trusted without a proof: only the files' "
            warnings.warn(f"{message}hashes are checked", DataWarning, stacklevel=4)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        opener = OpenerDirector()  # the usual one knows ftp and files, and redirects
        opener.add_handler(ProxyHandler({} if _is_this_machine(parts) else None))
        opener.add_handler(HTTPHandler())
        opener.add_handler(HTTPSHandler(context=context))
        request = Request(url, headers={"User-Agent": "pyg-advinfonce"})
        try:
            return cast("HTTPResponse", opener.open(request, timeout=self.timeout))
        except (OSError, HTTPException, UnicodeError) as error:
            cause = getattr(error, "reason", error)
            said = (
                getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            )
            if isinstance(cause, TimeoutError):
                said = f"no answer within {self.timeout:g} s"
            if isinstance(cause, ssl.SSLCertVerificationError):
                said = (
                    f"its certificate is not to be trusted ({cause.verify_message}); "
                    f"--insecure {parts.hostname} would take it anyway"
                )
            raise DownloadError(f"{url}: {' '.join(said.split())}") from error

    def _is_insecure(self, parts: SplitResult) -> bool:
        return self.insecure is not None and parts.hostname == self.insecure.lower()


def _is_this_machine(parts: SplitResult) -> bool:
    """Whether an address never leaves the loopback interface."""
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
