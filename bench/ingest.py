"""How fast `ingest` is, beside the floor: DuckDB's own typed read_json to Parquet on the same file.

The floor reads the fields that ingest reads and writes them as one Parquet file. It does less: no hash, no
evidence, no copies found, no quarantine, no ledger, no normalising into several tables.

    python bench/ingest.py                       # one million records, table on stdout
    python bench/ingest.py --records 10000000    # memory must stay flat
    python bench/ingest.py --out bench/RESULTS.md
    python bench/ingest.py --exports FOLDER      # any exports in place of the generated ones; no floor

The export is generated from a fixed seed, so that every run reads the same bytes: about 70 % MailItemsAccessed
with 1 to 10 items, sign-ins, sends, item changes, and a few per cent of changes by administrators.
"""

from __future__ import annotations

import argparse
import base64
import csv
import datetime as dt
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

TENANT = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
GRAPH = "00000003-0000-0000-c000-000000000000"
OUTLOOK_WEB = "9199bf20-a13f-4107-85dc-02114787ef48"
START = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)
USERS = 2_000
SESSION_RECORDS = 40  # records that one session and one token last for
MIB = 1024 * 1024

CSV_HEADER = (
    *("RecordId", "CreationDate", "RecordType", "Operation", "UserId", "AuditData"),
    *("AssociatedAdminUnits", "AssociatedAdminUnitsNames"),
)
CLIENTS = (
    ("Client=OWA;Action=ViaProxy", OUTLOOK_WEB, OUTLOOK_WEB),
    ("Client=REST;;", GRAPH, "27922004-5251-4030-b22d-91ecd9a37ea4"),
    ("Client=MSExchangeRPC", "", ""),
    ("Client=WebServices;Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.14326; Pro);", "", ""),
    ("Client=OutlookService;Outlook-iOS/2.0;", "27922004-5251-4030-b22d-91ecd9a37ea4", ""),
)


class Generator:
    """Audit records from a seed, in the order of time."""

    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self.people = [self._person(number) for number in range(USERS)]
        self.at = START

    def _guid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def _person(self, number: int) -> dict:
        return {
            "upn": f"Person.{number:04}@contoso.example",
            "mailbox": self._guid(),
            "oid": self._guid(),
            "puid": f"10032001{number:08X}",
            "address": f"203.0.{number % 113}.{number // 113 + 1}",
            "client": CLIENTS[number % len(CLIENTS)],
            "left": 0,
        }

    def _sign_in_again(self, person: dict) -> None:
        token = self.random.getrandbits(120).to_bytes(15, "big") + b"\x00"
        person["session"] = self._guid()
        person["uti"] = base64.urlsafe_b64encode(token).rstrip(b"=").decode()
        person["issued"] = f"{self.at - dt.timedelta(minutes=3):%Y-%m-%dT%H:%M:%S}"
        person["left"] = self.random.randrange(1, 2 * SESSION_RECORDS)

    def _common(self, person: dict, operation: str, record_type: int, workload: str) -> dict:
        return {
            "CreationTime": f"{self.at:%Y-%m-%dT%H:%M:%S}",
            "Id": self._guid(),
            "Operation": operation,
            "OrganizationId": TENANT,
            "RecordType": record_type,
            "ResultStatus": "Succeeded",
            "UserKey": person["puid"],
            "UserType": 0,
            "Version": 1,
            "Workload": workload,
            "UserId": person["upn"],
        }

    def _mailbox(self, person: dict, operation: str, record_type: int) -> dict:
        client, app, client_app = person["client"]
        return {
            **self._common(person, operation, record_type, "Exchange"),
            "AppId": app,
            "ClientAppId": client_app,
            "ClientIPAddress": person["address"],
            "ClientInfoString": client,
            "ExternalAccess": False,
            "InternalLogonType": 0,
            "LogonType": 0,
            "LogonUserSid": "S-1-5-21-1005-2004-3003-4002",
            "MailboxGuid": person["mailbox"],
            "MailboxOwnerSid": "S-1-5-21-1005-2004-3003-4002",
            "MailboxOwnerUPN": person["upn"],
            "OrganizationName": "contoso.onmicrosoft.example",
            "OriginatingServer": "AM0PR07MB0001 (15.20.4200.000)\r\n",
            "SessionId": person["session"],
            "TokenObjectId": person["oid"],
            "TokenTenantId": TENANT,
            "AppAccessContext": {
                "AADSessionId": person["session"],
                "APIId": app,
                "ClientAppId": client_app,
                "IssuedAtTime": person["issued"],
                "UniqueTokenId": person["uti"],
            },
        }

    def _item(self) -> dict:
        number = self.random.getrandbits(64)
        return {
            "Id": f"RgAAAAD{number:016x}{number:032x}{'A' * 40}",
            "InternetMessageId": f"<{number:016X}.{number % 9973}@AM0PR07MB0001.prod.example>",
            "SizeInBytes": number % 900_000,
        }

    def _access(self, person: dict) -> dict:
        is_sync = self.random.random() < 0.1
        record = self._mailbox(person, "MailItemsAccessed", 2 if is_sync else 50)
        record["OperationProperties"] = [
            {"Name": "MailAccessType", "Value": "Sync" if is_sync else "Bind"},
            {"Name": "IsThrottled", "Value": "False"},
        ]
        if is_sync:
            folder = f"LgAAAAA{person['puid']}"
            record["Item"] = {"Id": folder, "ParentFolder": {"Id": folder, "Name": "Inbox", "Path": "\\Inbox"}}
        else:
            items = [self._item() for _ in range(self.random.randrange(1, 11))]
            record["Folders"] = [{"Id": "LgAAAAB" + "C" * 60, "Path": "\\Inbox", "FolderItems": items}]
            record["OperationCount"] = len(items)
        return record

    def _sign_in(self, person: dict) -> dict:
        record = self._common(person, "UserLoggedIn", 15, "AzureActiveDirectory")
        record |= {
            "ObjectId": GRAPH,
            "ResultStatus": "Success",
            "UserKey": person["oid"],
            "ClientIP": person["address"],
            "AzureActiveDirectoryEventType": 1,
            "ExtendedProperties": [
                {"Name": "ResultStatusDetail", "Value": "Success"},
                {"Name": "UserAgent", "Value": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"},
                {"Name": "RequestType", "Value": "OAuth2:Token"},
            ],
            "ModifiedProperties": [],
            "Actor": [{"ID": person["oid"], "Type": 0}, {"ID": person["upn"], "Type": 5}],
            "ActorContextId": TENANT,
            "ActorIpAddress": person["address"],
            "InterSystemsId": self._guid(),
            "IntraSystemId": record["Id"],
            "SupportTicketId": "",
            "Target": [{"ID": GRAPH, "Type": 0}],
            "TargetContextId": TENANT,
            "ApplicationId": OUTLOOK_WEB,
            "DeviceProperties": [
                {"Name": "OS", "Value": "Windows 10"},
                {"Name": "BrowserType", "Value": "Edge"},
                {"Name": "SessionId", "Value": person["session"]},
            ],
            "ErrorNumber": "0",
        }
        return record

    def _send(self, person: dict) -> dict:
        record = self._mailbox(person, "Send", 2)
        record["Item"] = {
            **self._item(),
            "Subject": f"Offer {self.random.randrange(10**6)}",
            "Attachments": "a.pdf (9b)",
        }
        record["SaveToSentItems"] = True
        return record

    def _change(self, person: dict) -> dict:
        operation = self.random.choice(("SoftDelete", "MoveToDeletedItems", "HardDelete", "Move"))
        record = self._mailbox(person, operation, 3)
        items = [self._item() for _ in range(self.random.randrange(1, 4))]
        record["AffectedItems"] = [
            {**item, "Subject": "Report", "ParentFolder": {"Id": "LgAAB", "Path": "\\Inbox"}} for item in items
        ]
        record["Folder"] = {"Id": "LgAAB", "Path": "\\Inbox"}
        record["DestFolder"] = {"Id": "LgAAC", "Path": "\\Deleted Items"}
        record["CrossMailboxOperation"] = False
        return record

    def _admin(self, person: dict) -> dict:
        record = self._common(person, "Set-Mailbox", 1, "Exchange")
        record |= {
            "ObjectId": person["upn"],
            "ResultStatus": "True",
            "UserType": 2,
            "ClientIP": f"{person['address']}:52413",
            "ExternalAccess": False,
            "Parameters": [
                {"Name": "Identity", "Value": person["upn"]},
                {"Name": "AuditEnabled", "Value": "True"},
            ],
        }
        return record

    def record(self) -> dict:
        """The next record."""
        self.at += dt.timedelta(seconds=self.random.random() * 5)
        person = self.people[int(USERS * self.random.random() ** 2)]
        if person["left"] <= 0:
            self._sign_in_again(person)
        person["left"] -= 1
        kind = self.random.random()
        if kind < 0.70:
            return self._access(person)
        if kind < 0.80:
            return self._sign_in(person)
        if kind < 0.86:
            return self._send(person)
        if kind < 0.97:
            return self._change(person)
        return self._admin(person)


def write_json_lines(path: Path, records: int) -> None:
    """The export as JSON Lines."""
    generator = Generator()
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for _ in range(records):
            stream.write(json.dumps(generator.record(), separators=(",", ":")) + "\n")


def write_purview_csv(path: Path, records: int) -> None:
    """The same records as the Purview portal exports them."""
    generator = Generator()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(CSV_HEADER)
        for _ in range(records):
            record = generator.record()
            writer.writerow(csv_row(record, json.dumps(record, separators=(",", ":"))))


def csv_row(record: dict, audit: str) -> tuple:
    """One row of the portal's export."""
    at = record["CreationTime"] + "Z"
    return (record["Id"], at, record["RecordType"], record["Operation"], record["UserId"], audit, "", "")


# ---------------------------------------------------------------- what is measured, each in a process of its own


def run_floor(path: Path, threads: int) -> None:
    """DuckDB alone: typed read_json, or read_csv and the typed JSON in it, to one Parquet file."""
    import duckdb
    import ibis
    from ibis.backends.sql.datatypes import DuckDBType

    from brokenseal.sources.unified_audit import SOURCE

    kinds = {name: ibis.dtype(kind) for name, kind in SOURCE.columnar["bare_record"].raw_schema.items()}
    if path.suffix == ".csv":
        record = json.dumps({name: _structure(kind) for name, kind in kinds.items()})
        rows = f"read_csv('{path}', header=true, all_varchar=true, max_line_size=10000000)"
        source = f"(SELECT unnest(from_json(AuditData, '{record}')) FROM {rows})"
    else:
        listed = ", ".join(f"'{name}': '{DuckDBType.to_string(kind)}'" for name, kind in kinds.items())
        source = f"read_json('{path}', columns={{{listed}}}, format='newline_delimited')"
    engine = duckdb.connect()
    engine.execute(f"SET threads={threads}")
    engine.execute("SET memory_limit='1024MiB'")
    engine.execute("SET enable_progress_bar=false")
    target = f"{path}.floor.parquet"
    engine.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
    Path(target).unlink()


def _structure(kind):
    """A type as DuckDB's from_json wants it."""
    from ibis.backends.sql.datatypes import DuckDBType

    if kind.is_struct():
        return {name: _structure(each) for name, each in kind.items()}
    return [_structure(kind.value_type)] if kind.is_array() else DuckDBType.to_string(kind)


def run_ingest(path: Path, store: Path, threads: int) -> None:
    """The product."""
    from brokenseal.ingest import ingest
    from brokenseal.settings import Settings

    result = ingest([path], Settings(store_dir=store, threads=threads), now=dt.datetime.now(dt.UTC))
    print(json.dumps({"records": result.records, "kept": result.kept, "one_by_one": result.one_by_one}))


def measured(what: str, path: Path, store: Path, threads: int) -> tuple[float, float, float]:
    """Seconds and CPU seconds (the process's start-up left out) and peak resident MiB of one run in its own process."""
    code = (
        "import sys, time; sys.path[:0] = [sys.argv[1]]; import ingest as bench; from pathlib import Path\n"
        "import duckdb, ibis, deltalake, measuring, pandas; ibis.duckdb\n"
        "import brokenseal.ingest, brokenseal._ingest_columnar\n"
        "what, path, store, threads = sys.argv[2:6]\n"
        "begun, worked = time.perf_counter(), time.process_time()\n"
        "if what == 'floor': bench.run_floor(Path(path), int(threads))\n"
        "else: bench.run_ingest(Path(path), Path(store), int(threads))\n"
        "seconds, worked = time.perf_counter() - begun, time.process_time() - worked\n"
        "print('SECONDS', seconds, worked, measuring.high_water_mib())\n"
    )
    arguments = [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent), what, str(path), str(store)]
    done = subprocess.run([*arguments, str(threads)], check=True, capture_output=True, text=True)
    told, _, figures = done.stdout.partition("SECONDS ")
    print(told.strip(), file=sys.stderr)
    seconds, cpu, peak = figures.split()
    return float(seconds), float(cpu), float(peak)


def row(name: str, records: int, size: int, run: tuple[float, float, float], floor: float | None) -> str:
    """One line of the table."""
    seconds, cpu, peak = run
    ratio = f"{floor / seconds:.2f}" if floor else ""
    return (
        f"| {name} | {records:,} | {size / 1e6:,.0f} | {seconds:.1f} | {cpu:.1f} | {records / seconds:,.0f} "
        f"| {size / 1e6 / seconds:,.0f} | {ratio} | {peak:,.0f} |"
    )


HEAD = (
    "| run | records | MB | seconds | CPU seconds | records/s | MB/s | of the floor | peak MiB |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
)


def measure_exports(path: Path, threads: int, runs: int) -> None:
    """Print the table for a folder of exports."""
    size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-") as folder:
        store = Path(folder) / "store"
        print("\n".join(HEAD))
        for _ in range(runs):
            shutil.rmtree(store, ignore_errors=True)
            run = measured("ingest", path, store, threads)
            from brokenseal.settings import Settings
            from brokenseal.store import Store

            with Store.open(Settings(store_dir=store)) as found:
                records = sum(each["records"] for each in found.ledger_rows())
            print(row(f"ingest, {path.name}", records, size, run, None))


def main() -> None:
    """Generate, measure, and write the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    options.add_argument("--runs", type=int, default=3, help="runs of each; the fastest counts")
    options.add_argument("--no-csv", action="store_true")
    options.add_argument("--dir", type=Path, help="keep the export here instead of in a temporary folder")
    options.add_argument("--out", type=Path)
    options.add_argument("--exports", type=Path, help="measure ingest of these exports alone")
    chosen = options.parse_args()
    if chosen.exports:
        measure_exports(chosen.exports, chosen.threads, chosen.runs)
        return
    folder = chosen.dir or Path(tempfile.mkdtemp(prefix="brokenseal-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        (
            f"{platform.python_implementation()} {platform.python_version()}, {chosen.threads} threads, "
            f"{platform.machine()}, best of {chosen.runs}"
        ),
        "",
        *HEAD,
    ]
    jsonl = folder / f"export-{chosen.records}.jsonl"
    if not jsonl.exists():
        write_json_lines(jsonl, chosen.records)
    inputs = [("JSON Lines", jsonl)]
    if not chosen.no_csv:
        purview = folder / f"export-{chosen.records}.csv"
        if not purview.exists():
            write_purview_csv(purview, chosen.records)
        inputs.append(("Purview CSV", purview))
    store = folder / "store"
    floor = None
    best = min(measured("floor", jsonl, store, chosen.threads) for _ in range(chosen.runs))
    floor = best[0]
    size = jsonl.stat().st_size
    lines.append(row("floor: read_json → Parquet, JSON Lines", chosen.records, size, best, None))
    for name, path in inputs:
        runs = []
        for _ in range(chosen.runs):
            shutil.rmtree(store, ignore_errors=True)
            runs.append(measured("ingest", path, store, chosen.threads))
        lines.append(row(f"ingest, {name}", chosen.records, path.stat().st_size, min(runs), floor))
    shutil.rmtree(store, ignore_errors=True)
    if chosen.dir is None:
        shutil.rmtree(folder)
    table = "\n".join(lines) + "\n"
    print(table)
    if chosen.out:
        chosen.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
