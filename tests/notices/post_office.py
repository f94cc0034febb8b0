"""Real mail servers on loopback, and self-made certificates."""

import datetime as dt
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USER, PASSWORD = "relay-user", "correct horse"


def make_certificate(name, *, at=None, days=30, key=None, usage=None, alternative=None):
    """A self-signed certificate and its key as PEM."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begin = (at or dt.datetime.now(tz=dt.UTC)) - dt.timedelta(days=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=days))
        .add_extension(alternative or x509.SubjectAlternativeName([x509.RFC822Name(name)]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
    )
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    digest = hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None
    pem = builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, private


def write_pair(folder, name, pair):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(pair[0])
    key.write_bytes(pair[1])
    return certificate, key


def server_context(folder, *, host="localhost"):
    pair = make_certificate(host, alternative=x509.SubjectAlternativeName([x509.DNSName(host)]))
    certificate, key = write_pair(folder, f"server-{host}", pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@dataclass
class Box:
    """What a server was given; `on_mail` and `on_data` are asked before it answers, `on_taken` after it kept a mail."""

    mails: list = field(default_factory=list)
    envelopes: list = field(default_factory=list)
    logins: list = field(default_factory=list)
    was_tls: list = field(default_factory=list)
    refuse: dict = field(default_factory=dict)
    on_mail: object = None
    on_taken: object = None

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's names
        if self.on_mail is not None:
            self.on_mail(len(self.mails))
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(bytes(envelope.content))
        self.envelopes.append((envelope.mail_from, tuple(envelope.rcpt_tos)))
        self.was_tls.append(session.ssl is not None)
        if self.on_taken is not None:
            self.on_taken(len(self.mails))
        return "250 Kept"

    @property
    def ids(self):
        return [parsed(mail)["Message-ID"].strip() for mail in self.mails]


def parsed(mail):
    return message_from_bytes(mail, policy=policy.default)


@contextmanager
def server(box, *, tls_context=None, implicit=None, login=False):
    """An aiosmtpd server; gives its port."""

    def authenticate(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        box.logins.append((mechanism, good, session.ssl is not None))
        return AuthResult(success=good, handled=good)

    port = free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls_context,
        require_starttls=tls_context is not None,
        ssl_context=implicit,
        authenticator=authenticate if login else None,
        auth_required=login,
        auth_require_tls=implicit is None,
        ready_timeout=20,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@contextmanager
def scripted(answers, *, seen):
    """A server that answers each line by a script, for what a well-behaved one never does.

    `answers` maps the first word of a command to a reply, or to None to hang up; "." stands for the end of content.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 scripted\r\n")
            stream.flush()
            in_data = False
            for raw in stream:
                line = raw.decode().rstrip("\r\n")
                if in_data:
                    if line != ".":
                        continue
                    in_data, word = False, "."
                else:
                    word = line.split(":")[0].split(" ")[0].upper()
                    seen.append(line)
                reply = answers.get(word, "250 fine")
                if reply is None:
                    return
                stream.write(reply.encode() + b"\r\n")
                stream.flush()
                in_data = word == "DATA" and reply.startswith("354")
                if word == "QUIT":
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)
