"""What an address is made of, and where it leads."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pyg_advinfonce.errors import ConfigError


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
