"""The product: the export into a store, the same question asked of its tables, and what it says was lost."""

import datetime as dt
import json
import sys
from pathlib import Path

from brokenseal.ingest import ingest
from brokenseal.settings import from_environment
from brokenseal.store import Store

settings = from_environment(Path(sys.argv[2]))
told = ingest([Path(sys.argv[1])], settings, now=dt.datetime.now(dt.UTC))
with Store.open(settings) as store:
    tables = store.tables()
    reads, items = tables["mail_accesses"], tables["accessed_items"]
    known = items.join(reads.select("event_id", "client_info", "client_ip"), "event_id")
    found = known.group_by("mailbox_key", "client_info", "client_ip").agg(n=known.internet_message_id.nunique())
    messages = int(found.n.sum().to_pyarrow().as_py())
    accesses = int(reads.count().to_pyarrow().as_py())
    syncs = int(reads.filter(reads.access_type == "sync").count().to_pyarrow().as_py())
print(json.dumps({
    "accesses": accesses, "messages": messages, "broken": told.rejected, "copies": told.duplicates, "syncs": syncs,
}))  # fmt: skip
