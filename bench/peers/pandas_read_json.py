"""What a responder tries first: the whole export in one call of pandas."""

import json
import sys

import pandas as pd

try:
    table = pd.read_json(sys.argv[1], lines=True) if sys.argv[1].endswith("l") else pd.read_csv(sys.argv[1])
    if "AuditData" in table:
        table = pd.json_normalize([json.loads(text) for text in table["AuditData"]], max_level=0)
except ValueError as err:
    print(json.dumps({"stopped": str(err).splitlines()[0][:120]}))
    sys.exit()
reads = table[table["Operation"] == "MailItemsAccessed"].drop_duplicates("Id")
items = reads.explode("Folders").dropna(subset=["Folders"])
items = items.assign(item=items["Folders"].str.get("FolderItems")).explode("item")
items["message"] = items["item"].str.get("InternetMessageId")
found = items.groupby(["MailboxGuid", "ClientInfoString", "ClientIPAddress"])["message"].nunique()
print(json.dumps({"accesses": len(reads), "messages": int(found.sum())}))
