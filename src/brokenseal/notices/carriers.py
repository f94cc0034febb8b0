"""How letters leave: through an SMTP relay, or as .eml files in a folder. Nothing else here touches a network.

A carrier says of each letter whether it was taken, certainly not taken, or neither can be told.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import smtplib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

from brokenseal.errors import BrokensealError, UsageError
from brokenseal.reports._escape import cut, file_name, visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

_OK = 250
_READY = 220
_REPLY_LIMIT = 300
_PERMANENT = 500


class NotTaken(Exception):
    """The letter was certainly not taken.

    Attributes:
        reason: What the server said.
        is_final: Whether trying again is of no use.
    """

    def __init__(self, reason: str, *, is_final: bool) -> None:
        self.reason = reason
        self.is_final = is_final
        super().__init__(reason)


class Unclear(Exception):
    """The connection broke after the content had begun to go out: the server may have taken it."""


class RelayFailed(BrokensealError):
    """No letter can go through this relay now: it cannot be reached, or TLS or the login failed."""


class Carrier(Protocol):
    """Something that letters leave by."""

    def deliver(self, *, sender: str, recipient: str, mail: bytes, mark: str, before: Callable[[], None]) -> str:
        """Hand over one mail.

        Args:
            sender: Envelope sender; bounces go there.
            recipient: Envelope recipient.
            mail: All of it, lines ended by CRLF.
            mark: Envelope id, which a delivery status carries back.
            before: Called once, right before the content goes out and not earlier.

        Returns: What the other side said.

        Raises:
            NotTaken, Unclear: See there.
            RelayFailed: Not about this letter.
        """


# ---------------------------------------------------------------- SMTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """An SMTP server.

    Attributes:
        security: `starttls` or `tls`; `none` for a relay on this machine, without a login.
        authorities: PEM file of the authorities to trust; None for the system's.
        timeout_s: Seconds that the other side may stay silent.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: str | None = None
    authorities: Path | None = None
    timeout_s: float = 60.0


def check_relay(relay: Relay) -> None:
    """Refuse what would send in the clear.

    Raises:
        UsageError: No TLS to another machine, or a password without TLS.
    """
    if relay.security == "none" and not _is_loopback(relay.host):
        raise UsageError(
            place="--tls", value="none", expected="starttls or tls; none only to a relay at 127.0.0.1 or ::1"
        )
    if relay.security == "none" and relay.user is not None:
        raise UsageError(place="--user", value=relay.user, expected="starttls or tls, or no login")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class SmtpCarrier:
    """One connection, opened with the first letter and opened again where it was lost between two."""

    def __init__(self, relay: Relay) -> None:
        check_relay(relay)
        self._relay = relay
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def deliver(self, *, sender: str, recipient: str, mail: bytes, mark: str, before: Callable[[], None]) -> str:
        """See `Carrier.deliver`."""
        smtp = self._ready()
        asked = ["RET=HDRS", f"ENVID={mark}"] if smtp.has_extn("dsn") else []
        notify = ["NOTIFY=SUCCESS,FAILURE,DELAY"] if smtp.has_extn("dsn") else []
        size = [f"SIZE={len(mail)}"] if smtp.has_extn("size") else []
        try:
            self._expect(smtp.mail(sender, [*size, *asked]))
            self._expect(smtp.rcpt(recipient, notify))
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            raise NotTaken(_said(err), is_final=False) from err
        before()
        try:
            code, reply = smtp.data(mail)
        except smtplib.SMTPDataError as err:
            # The server refused before it took the content.
            self._reset(smtp)
            raise NotTaken(_reply(err.smtp_code, err.smtp_error), is_final=err.smtp_code >= _PERMANENT) from err
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            raise Unclear(_said(err)) from err
        if code != _OK:
            self._reset(smtp)
            raise NotTaken(_reply(code, reply), is_final=code >= _PERMANENT)
        return _reply(code, reply)

    def _expect(self, answer: tuple[int, bytes]) -> None:
        code, reply = answer
        if code not in {250, 251}:
            if self._smtp is not None:
                self._reset(self._smtp)
            raise NotTaken(_reply(code, reply), is_final=code >= _PERMANENT)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.rset()
        except (smtplib.SMTPException, OSError):
            self._close()

    def _close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()

    def _ready(self) -> smtplib.SMTP:
        """The open connection; a new one where there is none or the server has closed it meanwhile."""
        if self._smtp is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._smtp.noop()[0] == _OK:
                    return self._smtp
            self._close()
        relay = self._relay
        place = f"{relay.host}:{relay.port}"
        try:
            self._smtp = self._connected()
        except ssl.SSLError as err:
            raise RelayFailed(
                place=place, value=err, expected="a TLS certificate for its name that is trusted"
            ) from err
        except smtplib.SMTPNotSupportedError as err:
            raise RelayFailed(place=place, value=err, expected="STARTTLS, and a login where one is given") from err
        except smtplib.SMTPAuthenticationError as err:
            said = _reply(err.smtp_code, err.smtp_error)
            raise RelayFailed(place=place, value=said, expected="a user and password that the server takes") from err
        except (smtplib.SMTPException, OSError) as err:
            raise RelayFailed(place=place, value=_said(err), expected="an SMTP server that answers") from err
        return self._smtp

    def _connected(self) -> smtplib.SMTP:
        relay = self._relay
        smtp: smtplib.SMTP
        if relay.security == "tls":
            smtp = smtplib.SMTP_SSL(relay.host, relay.port, timeout=relay.timeout_s, context=self._context())
        else:
            smtp = smtplib.SMTP(relay.host, relay.port, timeout=relay.timeout_s)
        try:
            smtp.ehlo_or_helo_if_needed()
            if relay.security == "starttls":
                # Raises where the server does not offer it: there is no way back to plain text.
                _secured(smtp.starttls(context=self._context()))
                smtp.ehlo()
            if relay.user is not None and relay.password is not None:
                smtp.login(relay.user, relay.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _context(self) -> ssl.SSLContext:
        authorities = self._relay.authorities
        try:
            context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
        except OSError as err:
            raise UsageError(place=f"--ca {authorities}", value=err, expected="certificates in PEM") from err
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _secured(answer: tuple[int, bytes]) -> None:
    """A server that answers STARTTLS with anything but 220 stays in plain text (RFC 3207, section 4)."""
    code, reply = answer
    if code != _READY:
        raise smtplib.SMTPNotSupportedError(_reply(code, reply))


def _reply(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return cut(visible(f"{code} {text}"), _REPLY_LIMIT)


def _said(error: Exception) -> str:
    return cut(visible(f"{type(error).__name__}: {error}"), _REPLY_LIMIT)


# ---------------------------------------------------------------- files


class FolderCarrier:
    """Letters as .eml files, for whoever sends them by other means. The same letter is always the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, *, sender: str, recipient: str, mail: bytes, mark: str, before: Callable[[], None]) -> str:  # noqa: ARG002 - the contract
        """Write the file; see `Carrier.deliver`. A file that is there already is whole, and is kept."""
        target = self._folder / f"{file_name(recipient, limit=100)}-{mark[:12]}.eml"
        part = target.with_suffix(".part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb") as stream:
                stream.write(mail)
                stream.flush()
                os.fsync(stream.fileno())
            before()
            part.replace(target)
        except OSError as err:
            raise RelayFailed(place=str(target), value=err.strerror or err, expected="a folder to write to") from err
        return target.name
