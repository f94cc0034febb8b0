"""What a responder writes next: each line by itself, those that are no JSON passed over, copies dropped by their id."""

import csv
import json
import sys
from pathlib import Path

import pandas as pd

rows, seen, broken = [], set(), 0
csv.field_size_limit(10**9)
with Path(sys.argv[1]).open(encoding="utf-8", newline="") as stream:
    texts = stream if sys.argv[1].endswith("l") else (row.get("AuditData") or "" for row in csv.DictReader(stream))
    for text in texts:
        try:
            record = json.loads(text)
        except ValueError:
            broken += 1
            continue
        if record.get("Operation") != "MailItemsAccessed" or record["Id"] in seen:
            continue
        seen.add(record["Id"])
        who = (record.get("MailboxGuid"), record.get("ClientInfoString"), record.get("ClientIPAddress"))
        rows += [
            (*who, item.get("InternetMessageId"))
            for folder in record.get("Folders", ())
            for item in folder.get("FolderItems", ())
        ]
table = pd.DataFrame(rows, columns=["mailbox", "client", "address", "message"])
found = table.groupby(["mailbox", "client", "address"])["message"].nunique()
print(json.dumps({"accesses": len(seen), "messages": int(found.sum()), "broken": broken}))
