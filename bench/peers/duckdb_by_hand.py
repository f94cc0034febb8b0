"""The same in DuckDB: typed columns, lines that are no JSON ignored, copies dropped by their id."""

import json
import sys

import duckdb

FIELDS = {
    "Id": "VARCHAR",
    "Operation": "VARCHAR",
    "MailboxGuid": "VARCHAR",
    "ClientInfoString": "VARCHAR",
    "ClientIPAddress": "VARCHAR",
    "Folders": "STRUCT(FolderItems STRUCT(InternetMessageId VARCHAR)[])[]",
}
columns = ", ".join(f"{name}: '{kind}'" for name, kind in FIELDS.items())
engine = duckdb.connect()
engine.execute("SET threads=2")
if sys.argv[1].endswith("l"):
    source = f"read_json('{sys.argv[1]}', format='newline_delimited', ignore_errors=true, columns={{{columns}}})"
else:
    structure = json.dumps({**FIELDS, "Folders": [{"FolderItems": [{"InternetMessageId": "VARCHAR"}]}]})
    rows = f"read_csv('{sys.argv[1]}', header=true, all_varchar=true, ignore_errors=true, max_line_size=10000000)"
    source = f"(SELECT unnest(from_json(AuditData, '{structure}')) FROM {rows} WHERE json_valid(AuditData))"
engine.execute(f"""
    CREATE TEMP TABLE reads AS
    SELECT DISTINCT ON (Id) * FROM {source} WHERE Operation = 'MailItemsAccessed'
""")
(accesses,) = engine.execute("SELECT count(*) FROM reads").fetchone()
(messages,) = engine.execute("""
    SELECT sum(messages) FROM (
        SELECT count(DISTINCT item.InternetMessageId) AS messages
        FROM reads, unnest(Folders) AS f(folder), unnest(folder.FolderItems) AS i(item)
        GROUP BY MailboxGuid, ClientInfoString, ClientIPAddress
    )
""").fetchone()
print(json.dumps({"accesses": accesses, "messages": int(messages)}))
