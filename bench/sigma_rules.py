"""How fast rules run: 150 of them over generated audit records, one pass, beside another engine in the same run.

    python bench/sigma_rules.py                                   # 50,000 records
    python bench/sigma_rules.py --records 1000000
    python bench/sigma_rules.py --peer /path/to/bin/python  # one that has zargunlite and pysigma-backend-sqlite

Zircolite itself is in no package index. zargunlite 0.1.3 is its way as a library: records flattened into one table
of SQLite, one query a rule as pySigma's SQLite backend writes it for Zircolite. Both start from JSON text and end with
the hits; ours reads the text from a store, whose ingest is a step of its own and told apart. The rules are made from
a fixed seed in the shapes of published ones (operations, parameters as text, client strings, filters, a few regular
expressions), on fields that both engines know by the same name. Counts of hits are compared rule by rule.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from ingest import write_json_lines

OPERATIONS = (
    *("MailItemsAccessed", "UserLoggedIn", "UserLoginFailed", "Send", "SendAs", "SoftDelete", "HardDelete"),
    *("MoveToDeletedItems", "Update", "Create", "New-InboxRule", "Set-InboxRule", "Set-Mailbox"),
    *("Add-MailboxPermission", "Set-MailboxAuditBypassAssociation", "Add-MailboxFolderPermission"),
    *("New-TransportRule", "Add member to role.", "Consent to application.", "Add service principal credentials."),
)
WORDS = (
    *("ForwardTo", "RedirectTo", "DeleteMessage", "FullAccess", "AuditEnabled"),
    *("RSS", "invoice", "Anonymous", "MarkAsRead", "SendAs"),
)
CLIENTS = ("python", "curl/", "REST", "OWA", "Outlook-iOS", "PowerShell", "WebServices", "ActiveSync", "MSExchangeRPC")
PEER_AT_ONCE = 100_000
PEER = r"""
import json, sys, time
from itertools import islice
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection
from zargunlite.core import ZargunCore
from zargunlite.model import ZircoliteRule
from zargunlite.preprocess import flatten_json, mapping_field
began = time.process_time()
rules = SigmaCollection.load_ruleset([sys.argv[1]])
backend = sqliteBackend()
queries = {str(rule.title): backend.convert_rule(rule) for rule in rules}
compiled = time.process_time()
load = asked = 0.0
counts = dict.fromkeys(queries, 0)
with open(sys.argv[2], encoding="utf-8") as stream:
    while lines := list(islice(stream, int(sys.argv[3]))):
        start = time.process_time()
        with ZargunCore() as core:
            core.load_data([mapping_field(flatten_json(json.loads(line))) for line in lines], strict_field_name=False)
            loaded = time.process_time()
            for title, query in queries.items():
                counts[title] += core.execute_zircolite_rule(ZircoliteRule(title=title, rule=query)).count
        load += loaded - start
        asked += time.process_time() - loaded
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
times = {"compile": compiled - began, "load": load, "rules": asked}
print(json.dumps({**times, "peak_mb": peak, "counts": counts}))
"""


def rule(number: int, chance: random.Random) -> str:
    """One rule in the shape of a published one."""
    kind = chance.randrange(6)
    names = chance.sample(OPERATIONS, 3)
    lines = [f"        Operation: [{', '.join(json.dumps(each) for each in names[: chance.randint(1, 3)])}]"]
    condition = "s"
    extra = []
    if kind == 0:
        lines = [f"        Operation: {json.dumps(names[0])}", "        ResultStatus: [Succeeded, 'True', Success]"]
    elif kind == 1:
        lines.append(f"        Parameters|contains: [{', '.join(chance.sample(WORDS, 3))}]")
    elif kind == 2:
        lines.append(f"        Parameters|contains|all: [{', '.join(chance.sample(WORDS, 2))}]")
    elif kind == 3:
        lines.append(f"        ClientInfoString|contains: [{', '.join(chance.sample(CLIENTS, 3))}]")
    elif kind == 4:
        extra = [f"    f:\n        UserId|startswith: [{chance.choice('abcdefgh')}, svc-]"]
        condition = "s and not f"
    else:
        pattern = chance.choice(("Office/1[0-9]", "iOS/[0-9]+", "Windows NT (6|10)"))
        lines.append(f"        ClientInfoString|re: '{pattern}'")
    body = "\n".join(["    s:", *lines, *extra, f"    condition: {condition}"])
    return f"title: Rule {number:03}\nlogsource: {{product: m365, service: audit}}\ndetection:\n{body}\nlevel: low\n"


def write_rules(folder: Path, number: int) -> None:
    """The rules, a file each."""
    chance = random.Random(11)
    folder.mkdir()
    for place in range(number):
        (folder / f"{place:03}.yml").write_text(rule(place, chance), encoding="utf-8")


def cpu() -> float:
    """Seconds of processor time of this process, its threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory() -> float:
    """Mebibytes of memory that this process has used at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(folder: Path, export: Path, rules: Path) -> dict:
    """Ingest, then every rule in one pass."""
    from brokenseal.ingest import ingest
    from brokenseal.settings import Settings
    from brokenseal.sigma import load_rules
    from brokenseal.sigma.running import run_rules
    from brokenseal.store import Store

    settings = Settings(store_dir=folder / "store")
    began = cpu()
    ingest([export], settings, now=dt.datetime.now(tz=dt.UTC))
    ingested = cpu()
    wall = time.perf_counter()
    before = memory()
    with Store.open(settings) as store:
        result = run_rules(store, load_rules([rules]), listed=0)
    titles = {verdict.rule.key: verdict.rule.title for verdict in result.verdicts}
    return {
        "ingest": ingested - began,
        "run": cpu() - ingested,
        "wall": time.perf_counter() - wall,
        "records": result.records,
        "peak_mb": (before, memory()),
        "faults": [fault.reason for fault in result.faults],
        "counts": {titles[key]: number for key, number in result.counts.items()},
    }


def theirs(peer: str, export: Path, rules: Path) -> dict:
    """The other engine, in a process of its own; some records at a time, because it holds all of them as objects."""
    command = [peer, "-c", PEER, str(rules), str(export), str(PEER_AT_ONCE)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rules", type=int, default=150)
    parser.add_argument("--peer", help="Python of an environment with zargunlite and pysigma-backend-sqlite.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export, rules = folder / "records.json", folder / "rules"
        write_json_lines(export, options.records)
        write_rules(rules, options.rules)
        mine = ours(folder, export, rules)
        lines = [
            f"{options.rules} rules, {options.records} records, {export.stat().st_size / 1e6:.0f} MB of JSON",
            f"ingest, once:      {mine['ingest']:8.1f} s of CPU",
            (
                f"rules run:         {mine['run']:8.1f} s of CPU, {mine['wall']:.1f} s by the clock, "
                f"{options.records / mine['run']:,.0f} records per second of CPU"
            ),
            f"peak memory:       {mine['peak_mb'][1]:8.0f} MiB (before the run {mine['peak_mb'][0]:.0f})",
            f"machine:           {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            f"rules with hits:   {len(mine['counts']):8}; refused: {mine['faults'] or 'none'}",
        ]
        print("\n".join(lines), flush=True)
        if options.peer:
            print("\n".join(compared(options, mine, theirs(options.peer, export, rules))))
        else:
            print("Zircolite:         in no package index; give --peer for zargunlite")


def compared(options: argparse.Namespace, mine: dict, other: dict) -> list[str]:
    """The other engine's figures beside ours."""
    used = other["compile"] + other["load"] + other["rules"]
    whole = mine["run"] + mine["ingest"]
    counts = {title: number for title, number in other["counts"].items() if number}
    titles = sorted(counts | mine["counts"])
    differing = [title for title in titles if counts.get(title) != mine["counts"].get(title)]
    return [
        (
            f"zargunlite 0.1.3:  {used:8.1f} s of CPU ({other['compile']:.1f} compiling, {other['load']:.1f} loading, "
            f"{other['rules']:.1f} querying), {options.records / used:,.0f} records per second of CPU"
        ),
        f"its peak memory:   {other['peak_mb']:8.0f} MiB, {PEER_AT_ONCE:,} records at a time",
        f"ratio:             {used / mine['run']:8.1f}; with our ingest counted {used / whole:.1f}",
        f"rules whose numbers of hits differ: {len(differing)} {differing[:5]}",
    ]


if __name__ == "__main__":
    main()
