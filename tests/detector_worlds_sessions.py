"""Small worlds of sessions in several places, and a runner for detectors that are given marks and wanted units."""

from __future__ import annotations

import datetime as dt

import ibis
import pyarrow as pa

from brokenseal import schema
from detector_runner import connection
from support import TABLES, arrow_table

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36"
EDGE = CHROME + " Edg/120.0"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:87.0) Gecko/20100101 Firefox/87.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile/15E148 Safari/604.1"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1.15"
LOOKS = ((CHROME, EDGE), (CHROME, EDGE), (CHROME, FIREFOX), (IPHONE, MAC, EDGE), (None, CHROME), ("Outlook/16.0",))
"""What the reads of one scene come with."""
PLACES = (("9.9.9.9", 64500), ("9.9.9.9", 64500), ("8.8.8.8", 64501), ("8.8.8.9", None), ("7.7.7.7", None),
          ("7.7.1.1", None), ("9.9.1.1", None), ("9.9.1.1", None), ("2001:db8:1::1", 64500), ("2001:db9:1::1", None), ("6.6.6.6", 64502))  # fmt: skip
MICROSOFT = "2603:10a6::1"
DAY = dt.timedelta(days=1)
SCENES = 6
"""So many small stories, each of its own accounts and sessions, make one world: a query costs more than its rows."""


def _place(world, *, home=0.5):
    address, _ = PLACES[0] if world.generator.random() < home else world.pick(*PLACES)
    return {"client_ip": address, "ip_class": "public"}


def _who(world, scene):
    """An account of the scene, mostly the same one, and one of its sessions."""
    name, other = f"a{scene}@corp.example", f"b{scene}@corp.example"
    sessions = (f"s{scene}",) * 4 + (f"t{scene}", None)
    return {
        "actor_key": world.pick(name, name, name, name, name, other, None),
        "session_id": world.pick(*sessions),
    }


def _read(world, scene, at, **columns):
    world.add(
        "mail_accesses",
        **{
            "occurred_at": at,
            "tenant_id": "t",
            "mailbox_key": f"m{scene}",
            "mailbox_upn": world.pick(None, "a@corp.example"),
            "protocol": "owa",
            "effective_app": world.pick("app1", "app1", "app2", "app3", "proto:owa"),
            "user_agent": world.pick(*LOOKS[(scene + len(world.rows.get("sign_ins", ()))) % len(LOOKS)]),
            "access_type": "bind",
            **_who(world, scene),
            **_place(world),
            **columns,
        },
    )


def _sign_in(world, scene, at, **columns):
    world.add(
        "sign_ins",
        **{
            "occurred_at": at,
            "category": world.pick("interactive", "interactive", "interactive", "audit_log", "non_interactive", None),
            "app_id": world.pick("app1", "app1", "app1", "app2", None),
            "request_id": world.pick(None, f"t1-{scene}", f"t2-{scene}"),
            "token_id": world.pick(None, None, f"t3-{scene}"),
            "succeeded": world.pick(True, True, True, True, False, None),
            "auth_protocol": world.pick(None, "none", "none", "deviceCode"),
            "device_id": world.pick(None, "", f"d{scene}"),
            **_who(world, scene),
            **_place(world),
            **columns,
        },
    )


def _operators(world):
    """Failed sign-ins that tell which operator has an address, and nothing else."""
    for address, asn in dict(PLACES).items():
        if asn is not None and world.generator.random() < 0.9:
            world.add("sign_ins", occurred_at=START, client_ip=address, asn=asn, succeeded=False)


def add_sessions(world):
    """Accounts with a past at home or not, then a day on which few sessions are used at several places."""
    _operators(world)
    for scene in range(SCENES):
        for _ in range(world.pick(0, 1, 3, 3)):
            at = START + dt.timedelta(days=world.pick(0, 1, 3, 4), minutes=world.count)
            _read(world, scene, at, session_id=None, **_place(world, home=0.8))
        for _ in range(world.pick(0, 1, 2)):
            at = START + dt.timedelta(days=world.pick(0, 1, 9))
            _sign_in(world, scene, at, succeeded=True, **_place(world, home=0.8))
        day = START + world.pick(10, 10, 11) * DAY
        for _ in range(world.pick(1, 3, 5)):
            _sign_in(world, scene, day + dt.timedelta(seconds=world.pick(0, 1, 60, 61, 600)))
        if world.generator.random() < 0.5:
            _lose_device(world, scene, day)
        for _ in range(world.pick(2, 9, 14)):
            late = dt.timedelta(seconds=world.pick(0, 60, 300, 600, 601, 900, 3600, 86_400 * 2))
            _read(world, scene, day + late, token_id=world.pick(None, None, f"t1-{scene}", f"t3-{scene}"))
        if world.generator.random() < 0.3:
            _read(world, scene, day, client_ip=MICROSOFT, ip_class="microsoft")
        if world.generator.random() < 0.1:
            for number in range(5):
                _read(world, scene, day, session_id=f"s{scene}", actor_key=f"x{number}@corp.example")


def _lose_device(world, scene, day):
    """A client of a session that names its device at home, and then not elsewhere, where it reads."""
    shared = {"actor_key": f"a{scene}@corp.example", "session_id": f"s{scene}"}
    kind = {"category": "non_interactive", "app_id": "app1", "succeeded": True}
    _sign_in(world, scene, day, device_id="d1", **shared, **kind, **_place(world, home=1))
    where = _place(world, home=0.1)
    late = day + dt.timedelta(seconds=world.pick(-1, 0, 1, 1))
    _sign_in(world, scene, late, device_id=world.pick(None, ""), **shared, **kind, **where)
    _read(world, scene, late, user_agent=None, **shared, **where)


def add_handovers(world):
    """A past at home, then one session begun somewhere and used somewhere: most of these are handed on."""
    _operators(world)
    for scene in range(SCENES):
        name = f"a{scene}@corp.example"
        _read(world, scene, START, actor_key=name, session_id=None, effective_app="app1", **_place(world, home=1))
        for _ in range(world.pick(1, 2)):
            at = START + dt.timedelta(days=world.pick(6, 7, 9), seconds=world.pick(0, 1))
            session = world.pick(f"s{scene}", f"t{scene}")
            shared = {"actor_key": name, "category": "interactive", "succeeded": True}
            _sign_in(world, scene, at, **{**shared, "session_id": session}, **_place(world, home=0.2))
            if world.generator.random() < 0.5:
                late = at + dt.timedelta(seconds=world.pick(0, 59, 60, 61))
                _sign_in(world, scene, late, **{**shared, "session_id": None}, **_place(world, home=0.8))
            for _ in range(world.pick(1, 3)):
                late = at + dt.timedelta(seconds=world.pick(-5, 0, 30, 4000, 86_399, 86_400))
                token = world.pick(None, f"t1-{scene}", f"t2-{scene}")
                where = _place(world, home=0.2)
                _read(world, scene, late, actor_key=name, session_id=session, token_id=token, **where)


def add_volume(world):
    """Few messages, read by several sessions, some of them synchronised or throttled."""
    for scene in range(SCENES):
        for number in range(world.pick(2, 4, 8)):
            at = START + dt.timedelta(hours=world.pick(0, 1, 30, 31, 60), minutes=number)
            is_microsoft = world.generator.random() < 0.2
            _read(
                world,
                scene,
                at,
                actor_key="a@corp.example",
                session_id=world.pick(f"s{scene}", f"t{scene}", f"u{scene}"),
                access_type=world.pick(*["bind"] * 12, "sync", None),
                is_throttled=world.generator.random() < 0.03 or None,
                protocol=world.pick("owa", "owa", "rest_system"),
                client_ip=MICROSOFT if is_microsoft else "9.9.9.9",
                ip_class="microsoft" if is_microsoft else "public",
            )
            _list_items(world, world.rows["mail_accesses"][-1], world.pick(0, 1, 4, 12, 30, 60, 300, 700))


def _list_items(world, read, size):
    ids = (None, *(f"<{number}@x>" for number in range(size * 2)))
    for _ in range(size):
        world.rows.setdefault("accessed_items", []).append(
            {
                "event_id": read["event_id"],
                "occurred_at": read["occurred_at"],
                "mailbox_key": read["mailbox_key"],
                "kind": world.pick("message", "message", "message", "attachment", None),
                "internet_message_id": world.pick(*ids),
                "item_id": world.pick(None, "i1", "i2"),
            }
        )


def rows_of_case(case):
    """The rows of a case file (see `detectors/test_detector_cases.py`)."""
    tables = {}
    for name, rows in case["tables"].items():
        for row in rows:
            plain = {**case.get("defaults", {}).get(name, {}), **row}
            at, every = plain.pop("at", 0), plain.pop("every", 0)
            for number in range(plain.pop("repeat", 1)):
                made = {
                    key: value.format(n=number) if isinstance(value, str) else value for key, value in plain.items()
                }
                tables.setdefault(name, []).append(
                    {**made, "occurred_at": START + dt.timedelta(seconds=at + number * every)}
                )
    return tables


def shuffled(rows, generator):
    """The same records in another order, some of them delivered twice."""
    mixed = {name: held + generator.sample(held, len(held) // 2) for name, held in rows.items()}
    for held in mixed.values():
        generator.shuffle(held)
    return mixed


class MarkedRunner:
    """As `detector_runner.Runner`, with tables that the product's runner has at hand: marks, and the units wanted."""

    def __init__(self, build, names, extra):
        self.con, self.names = connection(), tuple(names)
        self.extra = {key: (f"extra_{number}", kind) for number, (key, kind) in enumerate(sorted(extra.items()))}
        for name, kind in self.extra.values():
            self.con.create_table(name, schema=kind.ibis_schema(), overwrite=True)
        tables = {name: self.con.table(name) for name in TABLES}
        tables |= {key: self.con.table(name) for key, (name, _) in self.extra.items()}
        self.sql = str(ibis.to_sql(build(tables), dialect="duckdb"))

    def __call__(self, world, extra):
        for name in self.names:
            self._put(name, arrow_table(name, world.get(name, ())))
        for key, rows in extra.items():
            name, kind = self.extra[key]
            columns = kind.arrow_schema()
            whole = [{column: row.get(column) for column in columns.names} for row in rows]
            self._put(name, pa.Table.from_pylist(whole, schema=columns))
        return self.con.con.sql(self.sql).to_arrow_table().to_pylist()

    def _put(self, name, table):
        self.con.con.register("given", table)
        self.con.con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given")
        self.con.con.unregister("given")


WANTED = schema.Table(name="wanted_units", row="one unit", columns=(schema.MARK.columns[0],))


def add_entries(world):
    """Accounts with days on which they sign in with a device or without, then a client that got in somewhere."""
    _operators(world)
    for scene in range(SCENES):
        name, share = f"a{scene}@corp.example", world.pick(0.0, 0.3, 0.4, 0.9)
        for day in range(world.pick(3, 7, 9, 9)):
            for _ in range(world.pick(1, 1, 2)):
                held = f"d{scene}" if world.generator.random() < share else world.pick(None, "")
                at = START + dt.timedelta(days=day, minutes=world.count)
                kind = world.pick("interactive", "non_interactive", "non_interactive", "audit_log")
                shared = {"actor_key": name, "session_id": None, "category": kind, "succeeded": True}
                _sign_in(world, scene, at, device_id=held, **shared, **_place(world, home=0.7))
        for _ in range(world.pick(2, 3)):
            _enter(world, scene, name, START + dt.timedelta(days=world.pick(10, 12)))


def _enter(world, scene, name, at):
    """A session that begins here, elsewhere, long before or without a record, and reads."""
    session = world.pick(None, None, f"s{scene}", f"s{scene}", f"t{scene}")
    where = world.pick({"client_ip": MICROSOFT, "ip_class": "microsoft"}, *[_place(world, home=0.1) for _ in range(9)])
    began = dt.timedelta(seconds=world.pick(-60, 0, 60, 3600, 86_400, 86_401, 5 * 86_400, 5 * 86_400))
    by_hand = {
        "actor_key": name,
        "category": world.pick("interactive", "interactive", "interactive", "non_interactive"),
        "succeeded": True,
    }
    if world.generator.random() < 0.8:
        place, device = world.pick(where, where, _place(world, home=0.5)), world.pick(None, None, "", "", "d9")
        _sign_in(world, scene, at - began, **{**by_hand, "session_id": session, "device_id": device, **place})
    if world.generator.random() < 0.6:
        late = dt.timedelta(seconds=world.pick(-3601, -3600, 0, 0, 0, 3600, 86_400, 86_401))
        device = world.pick(None, None, None, "", "", "", "d9")
        _sign_in(world, scene, at - late, **{**by_hand, "session_id": None, "device_id": device, **where})
    for _ in range(world.pick(1, 2)):
        _read(world, scene, at, actor_key=name, session_id=session, **where)
