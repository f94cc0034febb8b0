"""Rehearse telling every organisation of a finished replay: plan, send, be killed, go on, be answered, escalate.

    brokenseal drill replay storm-0558 -o DIR --run
    python scripts/notify_rehearsal.py DIR -o OUT [--epoch 2023] [--only 1,18]

Whoever tells is the provider of 2023: it knows from its own logs which mailboxes forged tokens were used against, and
from which addresses. Here the truth of the simulation says so (OUT/indicators.csv). Letters go over STARTTLS to a real
server on loopback. The sender is killed (SIGKILL) in the middle and started again; every organisation but one answers;
the next contact of the silent one is written to. Ends with 1 unless each was told once. Everything in it is simulated.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT_AT = dt.datetime(2023, 6, 18, 9, tzinfo=dt.UTC)
"""When the notices go out: the logs of the replay end that night."""
LATER = SENT_AT + dt.timedelta(days=4)
BECAUSE = (
    "Tokens that were signed with a stolen key of ours were used against you. We found them in our own logs, which say "
    "against which mailboxes, from when to when, and from which addresses."
)
BECAUSE_FR = (
    "Des jetons signés avec une de nos clés, volée, ont été utilisés contre vous. Nous les avons trouvés dans nos "
    "propres journaux, qui disent contre quelles boîtes, de quand à quand, et depuis quelles adresses."
)
DEADLINE_S = 900


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What came of it; `uncertain` are letters of which nobody can say whether they went."""

    planned: int
    taken_before_the_kill: int
    sent_after_it: int
    told_once: int
    told_twice: int
    uncertain: int
    acknowledged: int
    escalated: int
    waiting: int
    over_tls: bool

    def is_as_it_should_be(self) -> bool:
        """Everybody once, nobody twice, one silent one escalated."""
        return (
            0 < self.taken_before_the_kill < self.planned
            and self.told_once == self.planned
            and not self.told_twice
            and not self.uncertain
            and self.acknowledged == self.planned - 1
            and self.escalated == self.waiting == 1
            and self.over_tls
        )


# ---------------------------------------------------------------- a mail server on loopback


@dataclass
class PostOffice:
    """Takes every mail; `kill` is a process that does not live to hand over the mail of that number (from 0)."""

    mails: list[bytes] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)
    kill: subprocess.Popen[bytes] | None = None
    kill_at: int = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Kill the sender if it is its time, before it has handed over anything of this mail."""
        if self.kill is not None and len(self.mails) == self.kill_at:
            os.kill(self.kill.pid, signal.SIGKILL)
            self.kill.wait(30)
            self.kill = None
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, _server: object, session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        """Keep the mail."""
        self.mails.append(bytes(envelope.content))
        self.over_tls.append(session.ssl is not None)
        return "250 Kept"


@contextmanager
def open_post(box: PostOffice, folder: Path) -> Iterator[tuple[int, Path]]:
    """The server's port, and the authority that vouches for it."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    controller = Controller(
        box, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, ready_timeout=30
    )
    controller.start()
    try:
        yield port, certificate
    finally:
        controller.stop()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


# ---------------------------------------------------------------- the rehearsal


def rehearse(plan_arguments: list[str], folder: Path, *, silent: int) -> Rehearsal:
    """Plan with these arguments of `notify plan`, send, and so on.

    Args:
        plan_arguments: Contacts, documents or stores, indicators.
        folder: For plan, ledger, mails and answers.
        silent: Number of the mail that nobody answers, from 0.

    Raises:
        subprocess.CalledProcessError: A command failed.
    """
    plan = str(folder / "plan.json")
    sender = ["--from", "notices@provider.example", "--from-name", "Provider CERT", "--ask", "Telephone 0 123"]
    planned = _json("plan", *plan_arguments, *sender, "-o", plan, "--now", _text(SENT_AT))
    count = len(planned["notices"])
    box = PostOffice(kill_at=count // 2)
    with open_post(box, folder) as (port, authority):
        send = ["send", "--plan", plan, "--hash", planned["hash"], "--really", "--smtp", f"localhost:{port}"]
        send += ["--ca", str(authority), "--json"]
        box.kill = subprocess.Popen(_command(*send, "--now", _text(SENT_AT)), stdout=subprocess.DEVNULL)
        _wait(box)
        before = len(box.mails)
        rest = _json(*send, "--now", _text(SENT_AT))
        again = _json(*send, "--now", _text(SENT_AT))
        _answer(box.mails, folder / "answers", but=silent)
        _json("status", "--plan", plan, "--read", str(folder / "answers"), "--now", _text(LATER), "--json")
        _json(*send, "--escalate", "--now", _text(LATER))
    found = _json("status", "--plan", plan, "--now", _text(LATER), "--json")
    ids = [_parsed(mail)["Message-ID"] for mail in box.mails[:count]]
    for number, mail in enumerate(box.mails):
        (folder / f"{number:02d}.eml").write_bytes(mail)
    return Rehearsal(
        planned=count,
        taken_before_the_kill=before,
        sent_after_it=len(rest["sent"]) + len(again["sent"]),
        told_once=len(set(ids)),
        told_twice=len(ids) - len(set(ids)),
        uncertain=len(rest["uncertain"]),
        acknowledged=found["counts"].get("acknowledged", 0),
        escalated=found["escalated"],
        waiting=found["counts"].get("waiting", 0),
        over_tls=all(box.over_tls),
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "brokenseal", "notify", *arguments]


def _json(*arguments: str) -> Any:
    if "--json" not in arguments:
        arguments = (*arguments, "--json")
    done = subprocess.run(_command(*arguments), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _wait(box: PostOffice) -> None:
    """Until the sender is dead."""
    process, until = box.kill, time.monotonic() + DEADLINE_S
    while box.kill is not None and time.monotonic() < until:
        if process is not None and process.poll() is not None and box.kill is not None:
            break
        threading.Event().wait(0.05)


def _text(at: dt.datetime) -> str:
    return at.isoformat()


def _parsed(mail: bytes) -> EmailMessage:
    return message_from_bytes(mail, policy=policy.default)


def _answer(mails: list[bytes], folder: Path, *, but: int) -> None:
    """A Maildir with a person's answer to each mail but one, as mail programs write them."""
    for part in ("new", "cur", "tmp"):
        (folder / part).mkdir(parents=True)
    for number, mail in enumerate(mails):
        if number == but:
            continue
        found = _parsed(mail)
        reply = EmailMessage()
        reply["From"], reply["To"] = found["To"], found["Reply-To"]
        reply["Subject"] = f"Re: {found['Subject']}"
        reply["Message-ID"] = f"<{number}@victim.example>"
        reply.set_content("We have read it.")
        (folder / "new" / f"{number}").write_bytes(bytes(reply))


# ---------------------------------------------------------------- what the provider of the replay knows


def _epoch_folders(replay: Path, epoch: str, only: set[int] | None) -> list[Path]:
    return [each for each in sorted((replay / epoch).iterdir()) if only is None or int(each.name) in only]


def write_contacts(places: list[Path], path: Path) -> None:
    """Two people of every organisation; those of French domains read French."""
    import pyarrow.parquet as pq

    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("organisation", "covers", "address", "name", "language", "role", "order"))
        for place in places:
            (tenant,) = pq.read_table(place / "truth" / "tenants.parquet").to_pylist()
            boxes = pq.read_table(place / "truth" / "messages.parquet", columns=["mailbox_upn"])
            domain = boxes.column("mailbox_upn")[0].as_py().rpartition("@")[2]
            lang = "fr" if int(place.name) % 3 == 0 else "en"
            covers = f"{domain} {tenant['tenant_id']}"
            writer.writerow((tenant["name"], covers, f"security@{domain}", "", lang, "security", 1))
            writer.writerow((tenant["name"], covers, f"counsel@{domain}", "", lang, "counsel", 2))


def write_indicators(places: list[Path], path: Path) -> None:
    """The mailboxes that forged tokens were used against, with their times, and the addresses of the intruder."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from brokenseal.settings import Settings
    from brokenseal.store import Store

    rows: list[tuple[str, str, str, str]] = []
    addresses: set[str] = set()
    for place in places:
        read = pq.read_table(place / "truth" / "messages.parquet", columns=["mailbox_upn", "first_read_at"])
        spans = read.group_by("mailbox_upn").aggregate([("first_read_at", "min"), ("first_read_at", "max")]).to_pylist()
        rows += [
            ("mailbox", each["mailbox_upn"], _text(each["first_read_at_min"]), _text(each["first_read_at_max"]))
            for each in sorted(spans, key=lambda each: each["mailbox_upn"])
        ]
        records = pq.read_table(place / "truth" / "records.parquet", columns=["event_id", "actor_kind"])
        intruder = set(records.filter(pc.equal(records["actor_kind"], "attacker"))["event_id"].to_pylist())
        store = Store.open(Settings(store_dir=place / "store"))
        accesses = store.run(store.tables()["mail_accesses"].select("event_id", "client_ip")).to_pylist()
        addresses |= {row["client_ip"] for row in accesses if row["event_id"] in intruder and row["client_ip"]}
        store.close()
    rows += [("address", address, "", "") for address in sorted(addresses)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("kind", "value", "from", "until"))
        writer.writerows(dict.fromkeys(rows))


def main() -> int:
    """Rehearse on a replay; 1 unless each was told once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("replay", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epoch", choices=("2023", "2026"), default="2023")
    parser.add_argument("--only", type=lambda text: {int(each) for each in text.split(",")})
    asked = parser.parse_args()
    asked.output.mkdir(parents=True)
    places = _epoch_folders(asked.replay, asked.epoch, asked.only)
    write_contacts(places, asked.output / "contacts.csv")
    # The provider's own logs name every address, whether or not a victim's logs do: those of both log epochs.
    everywhere = [each for epoch in ("2023", "2026") for each in _epoch_folders(asked.replay, epoch, asked.only)]
    write_indicators(everywhere, asked.output / "indicators.csv")
    arguments = [part for place in places for part in ("--store", str(place / "store"))]
    arguments += ["--contacts", str(asked.output / "contacts.csv")]
    arguments += [
        "--indicators",
        str(asked.output / "indicators.csv"),
        "--because",
        BECAUSE,
        "--because-fr",
        BECAUSE_FR,
    ]
    done = rehearse(arguments, asked.output, silent=len(places) // 3)
    print(json.dumps(asdict(done), indent=1))
    return int(not done.is_as_it_should_be())


if __name__ == "__main__":
    sys.exit(main())
