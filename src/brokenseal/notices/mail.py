"""A letter as the bytes of a mail: MIME, signed and encrypted by S/MIME where there are certificates.

Sources: RFC 5322 and 2045 (form), RFC 8551 (S/MIME 4.0), RFC 3834 (mail that a program wrote), RFC 3461 (delivery
status asked for in SMTP, not in the mail).
"""

from __future__ import annotations

import base64
import hashlib
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from brokenseal.reports._escape import visible

if TYPE_CHECKING:
    import datetime as dt

    from brokenseal.notices.certificates import SigningKey
    from brokenseal.notices.values import Letter, Sender, VictimNotice

_CRLF = b"\r\n"
_BASE64_LINE = 76
# An encoded word has 75 characters at most, 12 of them around its base64 (RFC 2047, section 2).
_WORD_BYTES = 45
# Python folds a long Message-ID into an encoded word, which no longer is one; 998 is the limit of RFC 5322.
_UNFOLDED = SMTP.clone(max_line_length=990)


def mail_bytes(
    letter: Letter, notice: VictimNotice, sender: Sender, *, at: dt.datetime, signer: SigningKey | None = None
) -> bytes:
    """The whole mail. Without certificates equal arguments give equal bytes; signing and encrypting draw at random.

    Args:
        letter: One of the notice's.
        notice: Holds the attachments.
        sender: From and Reply-To.
        at: The Date header.
        signer: Signs the letter; None for an unsigned one.
    """
    body = _entity(letter, notice)
    if signer is not None:
        body = _signed(body, signer, letter)
    if letter.contact.certificate is not None:
        body = _encrypted(body, letter.contact.certificate)
    return _headers(letter, sender, at) + body


def _headers(letter: Letter, sender: Sender, at: dt.datetime) -> bytes:
    """The headers of the mail itself; the policy refuses a value with a line break in it."""
    outer = EmailMessage(policy=SMTP)
    outer["Subject"] = letter.subject
    outer["Date"] = format_datetime(at)
    outer["Message-ID"] = letter.id
    outer["MIME-Version"] = "1.0"
    outer["Content-Language"] = letter.contact.language
    outer["Auto-Submitted"] = "auto-generated"
    outer["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    folded = (
        (_UNFOLDED if name == "Message-ID" else SMTP).fold_binary(name, value) for name, value in outer.raw_items()
    )
    own = mailbox(sender.name, sender.address)
    to = mailbox(letter.contact.name, letter.contact.address)
    return b"".join((b"From: ", own, b"\r\nReply-To: ", own, b"\r\nTo: ", to, _CRLF, *folded))


def mailbox(name: str, address: str) -> bytes:
    """A name and an address for a header.

    Not by the standard library: when it folds a long quoted name it loses the quotation marks (Python 3.11), and what
    stood between them is read as addresses.
    """
    shown = visible(name)
    if not shown:
        return address.encode("ascii")
    # Some programs read encoded words in quotation marks as well, where they must not.
    if shown.isascii() and "=?" not in shown:
        quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'.encode("ascii")
    words: list[bytes] = [b""]
    for char in shown:
        if len(words[-1]) + len(char.encode()) > _WORD_BYTES:
            words.append(b"")
        words[-1] += char.encode()
    encoded = b"\r\n ".join(b"=?utf-8?b?" + base64.b64encode(word) + b"?=" for word in words)
    return encoded + f"\r\n <{address}>".encode("ascii")


def _boundary(letter: Letter, part: str) -> str:
    """A boundary that nobody who wrote a log line could have guessed: the Message-ID is made from a secret key."""
    return f"=_{hashlib.sha256(f'{letter.id} {part}'.encode()).hexdigest()[:40]}"


def _entity(letter: Letter, notice: VictimNotice) -> bytes:
    """Text and HTML as alternatives, then the files; seven-bit throughout, so that nothing on the way changes it."""
    bodies = MIMEPart(policy=SMTP)
    bodies.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    bodies.add_alternative(letter.html, subtype="html", charset="utf-8", cte="quoted-printable")
    bodies.set_boundary(_boundary(letter, "alternative"))
    whole = MIMEPart(policy=SMTP)
    whole["Content-Type"] = "multipart/mixed"
    whole.attach(bodies)
    for place in letter.attachments:
        attached = notice.attachments[place]
        maintype, _, subtype = attached.media_type.partition("/")
        part = MIMEPart(policy=SMTP)
        part.set_content(
            attached.content.encode("utf-8"),
            maintype=maintype,
            subtype=subtype,
            disposition="attachment",
            filename=attached.name,
            params={"charset": "utf-8"},
        )
        whole.attach(part)
    whole.set_boundary(_boundary(letter, "mixed"))
    return whole.as_bytes(policy=_UNFOLDED)


def _signed(entity: bytes, signer: SigningKey, letter: Letter) -> bytes:
    """A multipart/signed around the entity, which stands in it byte for byte as it was signed."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

    builder = PKCS7SignatureBuilder().set_data(entity).add_signer(signer.certificate, signer.key, SHA256())
    for above in signer.chain:
        builder = builder.add_certificate(above)
    signature = builder.sign(Encoding.DER, [PKCS7Options.DetachedSignature, PKCS7Options.Binary])
    boundary = _boundary(letter, "signed").encode("ascii")
    return _CRLF.join(
        (
            b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;',
            b' boundary="' + boundary + b'"',
            b"",
            b"--" + boundary,
            entity,
            b"--" + boundary,
            b"Content-Type: application/pkcs7-signature; name=smime.p7s",
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment; filename=smime.p7s",
            b"",
            _base64(signature),
            b"--" + boundary + b"--",
            b"",
        )
    )


def _encrypted(entity: bytes, certificate: str) -> bytes:
    """The entity for the holder of the certificate's key alone: AES-256-CBC, its key encrypted by RSA."""
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options
    from cryptography.x509 import load_pem_x509_certificate

    envelope = (
        PKCS7EnvelopeBuilder()
        .set_data(entity)
        .add_recipient(load_pem_x509_certificate(certificate.encode("ascii")))
        .set_content_encryption_algorithm(AES256)
        .encrypt(Encoding.DER, [PKCS7Options.Binary])
    )
    return _CRLF.join(
        (
            b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment; filename=smime.p7m",
            b"",
            _base64(envelope),
            b"",
        )
    )


def _base64(content: bytes) -> bytes:
    text = base64.b64encode(content)
    return _CRLF.join(text[start : start + _BASE64_LINE] for start in range(0, len(text), _BASE64_LINE))
