"""HTTP access: certificates are verified and redirects never lose encryption."""

import ssl
import warnings
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


def split_address(url: str) -> SplitResult:
    """Return the parts of a web address.

    Raises:
        ConfigError: If it is none, or holds a password.
    """
    if "@" in url.partition("//")[2].partition("/")[0]:  # a password is not repeated
        raise ConfigError("expected an address without a user's name and password")
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_web = is_web and parts.port != 0  # the port raises where it is no number
    except ValueError:
        is_web = False
    if not is_web or any(not "!" <= letter <= "~" for letter in url):
        raise ConfigError(f"expected an address like https://host/path (got {url!r})")
    return parts


def is_host(text: str) -> bool:
    """Whether a text may be a host's name, without anything around it."""
    return bool(text) and not set(text) & set("/?#@ *")


def is_this_machine(parts: SplitResult) -> bool:
    """Whether an address never leaves the loopback interface."""
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class WebAccess:
    """How addresses are opened.

    Plain http is taken from this machine alone.

    Args:
        insecure: The one host whose certificate is not checked and that may use http;
            with a warning.
        timeout: The most seconds to wait for a sign of life.
    """

    insecure: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ConfigError(f"timeout must be positive (got {self.timeout})")
        if self.insecure is not None and not is_host(self.insecure):
            raise ConfigError(
                f"--insecure wants a host's name alone (got '{self.insecure}')"
            )

    def check(self, url: str) -> SplitResult:
        """Return the parts of an address that may be opened.

        Raises:
            ConfigError: If it may not.
        """
        parts = split_address(url)
        if parts.scheme == "http" and not self._may_be_plain(parts):
            raise ConfigError(
                f"{url}: expected https, since http protects nothing: use https, or "
                f"--insecure {parts.hostname}"
            )
        return parts

    def open(self, url: str) -> HTTPResponse:
        """Return the response to an address; to be closed.

        Raises:
            ConfigError: If the address may not be opened.
            DownloadError: If there is no answer that could be data; it says why.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = self._answer(url)
            if response.status == HTTPStatus.OK:
                return response
            with response:
                url = self._redirect(url, response)
        raise DownloadError(f"{url}: more than {MAX_REDIRECTS} redirects")

    def _answer(self, url: str) -> HTTPResponse:
        opener = self._opener(self.check(url))
        request = Request(url, headers={"User-Agent": "pyg-advinfonce"})
        try:
            return cast("HTTPResponse", opener.open(request, timeout=self.timeout))
        except (OSError, HTTPException, UnicodeError) as error:
            raise DownloadError(f"{url}: {self._reason(error, url)}") from error

    def _opener(self, parts: SplitResult) -> OpenerDirector:
        context = ssl.create_default_context()
        if self._is_insecure(parts):
            warnings.warn(
                f"{parts.hostname} is trusted without a proof: only the files' hashes "
                "are checked",
                DataWarning,
                stacklevel=4,
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        opener = OpenerDirector()  # the usual one knows ftp and files, and redirects
        opener.add_handler(ProxyHandler({} if is_this_machine(parts) else None))
        opener.add_handler(HTTPHandler())
        opener.add_handler(HTTPSHandler(context=context))
        return opener

    def _redirect(self, url: str, response: HTTPResponse) -> str:
        """Return the address that a response sends us to."""
        location = response.headers.get("Location")
        if response.status not in REDIRECTS or location is None:
            raise DownloadError(f"{url}: answered by HTTP status {response.status}")
        try:
            target = urljoin(url, location)
            parts = self.check(target)
        except ValueError as error:
            raise DownloadError(f"{url} redirects: {error}") from None
        is_downgrade = parts.scheme == "http" and split_address(url).scheme == "https"
        if is_downgrade and not self._is_insecure(parts):
            raise DownloadError(f"{url} redirects from https to {target}: refused")
        return target

    def _may_be_plain(self, parts: SplitResult) -> bool:
        return is_this_machine(parts) or self._is_insecure(parts)

    def _is_insecure(self, parts: SplitResult) -> bool:
        return self.insecure is not None and parts.hostname == self.insecure.lower()

    def _reason(self, error: Exception, url: str) -> str:
        """Say in one line why nothing was received."""
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not to be trusted ({cause.verify_message}); "
                f"--insecure {split_address(url).hostname} would take it anyway"
            )
        if isinstance(cause, TimeoutError):
            return f"no answer within {self.timeout:g} s"
        said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        return " ".join(str(said).split())
