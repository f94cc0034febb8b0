"""What a token or a session did in the logs, and whether it was ever issued."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import uuid

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from brokenseal import cli
from brokenseal.errors import UsageError
from brokenseal.reports.json_document import to_json
from brokenseal.settings import Settings
from brokenseal.store import Store
from brokenseal.tokens import provenance as room
from brokenseal.tokens.provenance import Subject, issuances, subject_of
from brokenseal.tokens.trace import counted, of_records, traced
from brokenseal.tokens.trace import trace as trace_of
from brokenseal.tokens.trace_screen import issuance_lines, trace_screen
from detector_references_provenance import token_verdicts
from detector_runner import Runner
from support import TABLES, make_tables

IAT = dt.datetime(2025, 3, 5, 8, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TENANT = "51a1a7ed-0000-4000-8000-000000000001"
TOKEN_ID = "445945de-2d4f-4816-a71e-d3c0eff10500"
UTI = "3kVZRE8tFkinHtPA7_EFAA"
SESSION = "77777777-7777-4777-8777-777777777777"
KNOWN = "11111111-1111-4111-8111-1111111111{:02}"
SUBJECT = Subject(shown=UTI, token_id=TOKEN_ID, is_token=True)


def access(event_id="m", token_id=TOKEN_ID, **other):
    row = {
        "event_id": event_id, "occurred_at": IAT + HOUR / 2, "mailbox_key": "guid-a", "mailbox_upn": "a@wharfside.example",
        "tenant_id": TENANT, "user_type": 0, "protocol": "owa", "effective_app": "app", "ip_class": "public",
        "client_ip": "203.0.113.7", "user_agent": "curl", "actor": "A@wharfside.example", "session_id": SESSION,
        "token_id_raw": "raw", "token_id": token_id, "token_issued_at": IAT, "token_tenant_id": TENANT,
    }  # fmt: skip
    return row | other


def sign_in(event_id, token_id=None, *, category="non_interactive", at=IAT, **other):
    row = {"event_id": event_id, "category": category, "occurred_at": at, "succeeded": True, "tenant_id": TENANT}
    return row | {"request_id": token_id, "token_id": token_id} | other


ISSUED = [sign_in(f"s{number}", KNOWN.format(number)) for number in range(25)]
HEARD = [
    sign_in(f"{category[0]}{number}", category=category, at=IAT + number * HOUR)
    for category in ("interactive", "non_interactive")
    for number in range(-3, 30)
]
READ = [access(f"x{number}", KNOWN.format(number), session_id=None) for number in range(25)]


def world(accesses=(), sign_ins=(), items=(), extra=()):
    """Tables in which every row of a special table has its row in `events`, as ingest writes it."""
    event_columns = TABLES["events"].names
    rows = {
        "mail_accesses": [],
        "sign_ins": [],
        "accessed_items": list(items),
        "config_changes": [],
        "graph_requests": [],
    }
    rows["mail_accesses"] += [{k: v for k, v in row.items() if k in TABLES["mail_accesses"].names} for row in accesses]
    rows["sign_ins"] += list(sign_ins)
    for name, row in extra:
        rows[name].append({k: v for k, v in row.items() if k in TABLES[name].names})
    events = [*accesses, *sign_ins, *(row for _, row in extra)]
    rows["events"] = [{k: v for k, v in row.items() if k in event_columns} for row in events]
    return rows


def sealed(claims, signature="c2lnbmF0dXJl"):
    """A compact token of these claims; nobody signed it."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT", "kid": "k"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), signature])


CLAIMS = {"uti": UTI, "sid": SESSION, "tid": TENANT, "azp": "app", "iat": int(IAT.timestamp()), "idtyp": "user"}


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    "text",
    [
        UTI, f" {UTI}\n", f"{UTI}==", TOKEN_ID, TOKEN_ID.upper(), f"{{{TOKEN_ID}}}",
        base64.b64encode(TOKEN_ID.encode()).decode(),
    ],
)  # fmt: skip
def test_a_token_id_is_known_in_every_form(text):
    subject = subject_of(text)

    assert (subject.token_id, subject.token_id_raw, subject.is_token) == (TOKEN_ID, None, False)


@pytest.mark.parametrize("wrap", ["{}", "Bearer {}", "authorization: bearer {}", "\n{}\n"])
def test_a_token_is_known_by_its_claims_and_shown_without_its_text(wrap):
    subject = subject_of(wrap.format(sealed(CLAIMS)))

    assert subject == Subject(
        shown=UTI, token_id=TOKEN_ID, issued_at=IAT, tenant_id=TENANT, client_app_id="app", is_application=False,
        is_token=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"uti": None}, Subject(shown=SESSION, session_id=SESSION, is_token=True)),
        ({"uti": "ANONYMIZED"}, Subject(shown="ANONYMIZED", token_id_raw="ANONYMIZED", is_token=True)),
        ({"iat": 10**40}, Subject(shown=UTI, token_id=TOKEN_ID, is_token=True)),
        ({"iat": "soon"}, Subject(shown=UTI, token_id=TOKEN_ID, is_token=True)),
        ({"idtyp": "app"}, Subject(shown=UTI, token_id=TOKEN_ID, is_application=True, is_token=True)),
    ],
)
def test_claims_that_are_missing_or_odd_are_read_as_far_as_they_go(claims, expected):
    given = {"uti": UTI, "sid": SESSION, **claims}

    assert subject_of(sealed({name: value for name, value in given.items() if value is not None})) == expected


@pytest.mark.parametrize("text", ["", "  ", "00000000-0000-0000-0000-000000000000", "x" * 129, sealed({"sub": "a"})])
def test_what_can_be_no_id_is_an_error_that_does_not_repeat_it(text):
    with pytest.raises(UsageError) as caught:
        subject_of(text)

    assert caught.value.value is None
    assert len(text) < 20 or text[:20] not in str(caught.value)


# ---------------------------------------------------------------- which records

IDS = [TOKEN_ID, SESSION, KNOWN.format(1), None]
SUBJECTS = (
    SUBJECT,
    Subject(shown="", session_id=SESSION),
    Subject(shown="", token_id=TOKEN_ID, session_id=TOKEN_ID),
    Subject(shown="", token_id_raw="odd", session_id="odd"),
)


@st.composite
def small_worlds(draw):
    ids = st.sampled_from(IDS)
    accesses = [
        access(f"m{number}", draw(ids), session_id=draw(ids), token_id_raw=draw(st.sampled_from(["odd", None])))
        for number in range(draw(st.integers(0, 4)))
    ]
    sign_ins = [
        sign_in(f"s{number}", draw(ids), session_id=draw(ids)) | {"token_id": draw(ids)}
        for number in range(draw(st.integers(0, 4)))
    ]
    return world(accesses, sign_ins), draw(st.sampled_from(SUBJECTS))


def reference(rows, subject):
    """The ids of the subject's records, in plain Python."""

    def is_ours(row):
        return (
            (subject.token_id is not None and subject.token_id in {row.get("token_id"), row.get("request_id")})
            or (subject.token_id_raw is not None and row.get("token_id_raw") == subject.token_id_raw)
            or (subject.session_id is not None and row.get("session_id") == subject.session_id)
        )

    return {row["event_id"] for row in (*rows["events"], *rows["sign_ins"]) if is_ours(row)}


@functools.cache
def tracer(subject):
    return Runner(lambda tables: traced(tables, subject), ("events", "sign_ins"))


@settings(max_examples=30, deadline=None)
@given(small_worlds())
def test_records_are_found_by_token_and_by_session(given_world):
    rows, subject = given_world
    found = [row["event_id"] for row in tracer(subject)(rows)]

    assert len(found) == len(set(found))
    assert set(found) == reference(rows, subject)


def unbound():
    return {name: ibis.table(table.ibis_schema(), name=name) for name, table in TABLES.items()}


@pytest.mark.parametrize(
    "subject",
    [SUBJECT, Subject(shown="", session_id=SESSION), Subject(shown="", token_id_raw="x", session_id="x")],
)
def test_every_expression_compiles_for_spark(subject):
    tables = unbound()
    records = traced(tables, subject)
    for expression in (
        records,
        counted(records, "client_ip"),
        of_records(tables["config_changes"], records, ("event_id", "occurred_at", "change")),
        room.tokens_of(tables, subject),
        room.access_verdicts(tables, subject),
        room.naming_sign_ins(tables, subject),
        room.protocols(tables),
        room.asked_verdicts(tables, [access("asked:0")]),
    ):
        assert "SELECT" in ibis.to_sql(expression, dialect="pyspark")


# ---------------------------------------------------------------- was it issued?


def judged(accesses, sign_ins, subject):
    return issuances(make_tables(world([*READ, *accesses], sign_ins)), subject)


def test_a_token_that_read_mail_and_has_no_sign_in_was_not_issued():
    (one,) = judged([access()], [*HEARD, *ISSUED], subject_of(UTI))

    assert (one.token_id, one.verdict, one.reason, one.event_ids) == (TOKEN_ID, "not_issued", None, ())


def test_a_token_that_read_nothing_is_judged_as_if_it_had():
    (one,) = judged([], [*HEARD, *ISSUED], subject_of(sealed(CLAIMS)))

    assert (one.verdict, one.reason) == ("not_issued", None)


def test_a_sign_in_that_names_it_says_that_it_was_issued():
    """Of any category, whatever else the logs lack; whether the token read mail or not."""
    categories = ["interactive", "non_interactive", "service_principal", "owa_auth", "audit_log"]
    naming = [
        sign_in(
            f"signin:{number}", KNOWN.format(80 + number), category=category, session_id=SESSION,
            succeeded=None if category == "owa_auth" else True,
        )
        for number, category in enumerate(categories)
    ]  # fmt: skip
    accesses = [access(f"m{number}", KNOWN.format(80 + number)) for number in range(2)]
    found = judged(accesses, naming, Subject(shown=SESSION, session_id=SESSION))

    assert [(each.token_id, each.verdict, each.reason, each.event_ids) for each in found] == [
        (KNOWN.format(80 + number), "issued", None, (f"signin:{number}",)) for number in range(5)
    ]


def test_a_captured_token_that_a_sign_in_names_was_issued():
    (one,) = judged([], [sign_in("signin:1", TOKEN_ID)], subject_of(sealed(CLAIMS)))

    assert (one.verdict, one.reason, one.event_ids) == ("issued", None, ("signin:1",))


CANNOT_TELL = {
    "sign_ins_absent": ({}, []),
    "non_interactive_absent": ({}, [row for row in HEARD if row["category"] == "interactive"]),
    "outside_sign_in_window": ({"iat": int((IAT - 5 * HOUR).timestamp())}, [*HEARD, *ISSUED]),
    "too_recent": ({"iat": int((IAT + 10 * HOUR).timestamp())}, [*HEARD, *ISSUED]),
    "foreign_tenant": ({"tid": "22222222-2222-4222-8222-222222222222"}, [*HEARD, *ISSUED]),
    "background_service": ({"idtyp": "app"}, [*HEARD, *ISSUED]),
    "no_issued_at": ({"iat": None}, [*HEARD, *ISSUED]),
    "low_match_rate": ({"azp": "a client that nobody has"}, [*HEARD, *ISSUED]),
    "opaque_token_id": ({"uti": "ANONYMIZED"}, [*HEARD, *ISSUED]),
    "only_failed_sign_in": ({}, [*HEARD, *ISSUED, sign_in("f", TOKEN_ID, succeeded=False)]),
}


@pytest.mark.parametrize("reason", CANNOT_TELL)
def test_where_the_logs_would_not_show_it_nothing_is_said(reason):
    changed, sign_ins = CANNOT_TELL[reason]
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    (one,) = judged([], sign_ins, subject_of(sealed(claims)))

    assert (one.verdict, one.reason) == ("cannot_tell", reason)


def test_every_reason_of_the_detector_can_be_given_and_said():
    given = {*CANNOT_TELL, "no_token_id"}

    assert given == set(room.token_provenance.REASONS)
    for reason in CANNOT_TELL:
        one = room.Issuance(token_id=TOKEN_ID, token_id_raw=None, verdict="cannot_tell", reason=reason)
        (line,) = issuance_lines([one])
        assert line.startswith("Was it ever issued, as far as the logs show? cannot tell (")


ASKED = st.fixed_dictionaries(
    {
        "token_id": st.sampled_from([TOKEN_ID, KNOWN.format(3), KNOWN.format(77)]),
        "token_issued_at": st.sampled_from([IAT, IAT - 9 * HOUR, None]),
        "token_tenant_id": st.sampled_from([TENANT, "other", None]),
        "protocol": st.sampled_from(["owa", "rest", None]),
        "user_type": st.sampled_from([0, 5, 10, None]),
    }
)


@settings(max_examples=4, deadline=None)
@given(st.lists(ASKED, min_size=3, max_size=12), st.booleans())
def test_tokens_beside_the_accesses_are_judged_as_if_among_them(rows, is_heard):
    """The detector's reference on all rows gives what `asked_verdicts` gives for the rows that are put beside them."""
    sign_ins = [*(HEARD if is_heard else ()), *ISSUED]
    asked = [access(f"asked:{number}", **row) for number, row in enumerate(rows)]
    found = room.asked_verdicts(make_tables(world(READ, sign_ins)), asked).to_pyarrow().to_pylist()

    expected = token_verdicts({"mail_accesses": [*READ, *asked], "sign_ins": sign_ins})
    assert {row["event_id"]: (row["verdict"], row["reason"]) for row in found} == {
        event_id: verdict for event_id, verdict in expected.items() if event_id.startswith("asked:")
    }


def test_an_id_alone_is_judged_by_what_the_records_say_of_it():
    request = {
        "event_id": "graph:1", "occurred_at": IAT + HOUR, "tenant_id": TENANT, "token_id": TOKEN_ID, "method": "GET",
        "uri": "/v1.0/me", "token_issued_at": IAT, "effective_app": "app", "session_id": SESSION,
    }  # fmt: skip
    tables = make_tables(world(READ, [*HEARD, *ISSUED], extra=[("graph_requests", request)]))

    assert [each.verdict for each in issuances(tables, subject_of(UTI))] == ["not_issued"]
    assert issuances(tables, subject_of(str(uuid.UUID(int=5)))) == ()


def test_each_token_of_a_session_has_its_verdict():
    """A forged token, one that the web mail made of it, and one that was issued and read nothing."""
    minted, quiet = KNOWN.format(98), KNOWN.format(99)
    accesses = [access(), access("m2", minted)]
    sign_ins = [
        *HEARD,
        *ISSUED,
        sign_in("o", minted, category="owa_auth", succeeded=None, session_id=SESSION),
        sign_in("q", quiet, session_id=SESSION),
    ]
    found = judged(accesses, sign_ins, Subject(shown=SESSION, session_id=SESSION))

    assert {each.token_id: (each.verdict, each.event_ids) for each in found} == {
        TOKEN_ID: ("not_issued", ()),
        minted: ("issued", ("o",)),
        quiet: ("issued", ("q",)),
    }
    assert next(issuance_lines(found, is_session=True)) == (
        "Was each of its 3 token(s) ever issued, as far as the logs show? yes: 2, no: 1"
    )


# ---------------------------------------------------------------- the whole trace


@pytest.fixture(scope="module")
def tables():
    """One session: a sign-in, two reads of one message, a folder that was synchronised, a rule and a Graph request."""
    accesses = [
        access("m1", access_type="bind", item_entries=1, operation="MailItemsAccessed"),
        access("m2", access_type="bind", item_entries=1, occurred_at=IAT + HOUR, client_ip="203.0.113.8"),
        access("m3", KNOWN.format(1), access_type="sync", folder_path="\\Inbox", folder_id="F", item_entries=0),
        access("other", KNOWN.format(2), session_id="another", client_ip="198.51.100.1"),
    ]
    item = {"kind": "message", "mailbox_key": "guid-a", "mailbox_upn": "a@wharfside.example", "occurred_at": IAT}
    items = [item | {"event_id": event_id, "internet_message_id": "<m@x>"} for event_id in ("m1", "m2", "other")]
    rule = {
        "event_id": "rule", "occurred_at": IAT + 2 * HOUR, "tenant_id": TENANT, "session_id": SESSION, "target": "a",
        "change": "inbox_rule", "operation": "New-InboxRule", "token_id": TOKEN_ID,
    }  # fmt: skip
    request = {
        "event_id": "graph:1", "occurred_at": IAT - HOUR, "tenant_id": TENANT, "session_id": SESSION, "method": "GET",
        "token_id": KNOWN.format(1), "uri": "/v1.0/me/messages", "reads_mail": True, "status_code": 200,
    }  # fmt: skip
    naming = sign_in("signin:1", KNOWN.format(1), session_id=SESSION, app_name="Outlook")
    extra = [("config_changes", rule), ("graph_requests", request)]
    return make_tables(world(accesses, [naming, sign_in("elsewhere", KNOWN.format(3))], items, extra))


def test_a_token_is_traced_with_every_record_that_it_left(tables):
    found = trace_of(tables, subject_of(sealed(CLAIMS)))

    assert (found.kind, found.subject, found.records, found.simulated) == ("token", UTI, 3, True)
    assert found.event_ids == ("m1", "m2", "rule")
    assert (found.first_at, found.last_at) == (IAT + HOUR / 2, IAT + 2 * HOUR)
    assert [(each.value, each.records) for each in found.addresses] == [("203.0.113.7", 1), ("203.0.113.8", 1)]
    assert [each.value for each in found.agents] == ["curl"]
    assert [each.value for each in found.sessions] == [SESSION]
    assert [(each.event_id, each.change) for each in found.changes] == [("rule", "inbox_rule")]
    assert (found.sign_ins, found.requests) == ((), ())
    assert found.counts == {"sign_ins": 0, "config_changes": 1, "graph_requests": 0, "mail_accesses": 2}
    assert [(each.internet_message_id, each.event_ids) for each in found.mail.messages] == [("<m@x>", ("m1", "m2"))]
    assert (found.mail.certain, found.mail.possible) == (1, 0)
    assert [each.verdict for each in found.issuances] == ["cannot_tell"]


@pytest.fixture(scope="module")
def session(tables):
    return trace_of(tables, subject_of(SESSION.upper()))


def test_a_session_is_traced_across_its_tokens(session):
    found = session
    assert (found.kind, found.records) == ("session", 6)
    assert set(found.event_ids) == {"m1", "m2", "m3", "rule", "graph:1", "signin:1"}
    assert [each.event_id for each in found.sign_ins] == ["signin:1"]
    assert [(each.event_id, each.uri, each.status_code) for each in found.requests] == [
        ("graph:1", "/v1.0/me/messages", 200)
    ]
    assert {each.value: each.records for each in found.tokens} == {TOKEN_ID: 3, KNOWN.format(1): 3}
    assert [folder.event_ids for folder in found.mail.folders] == [("m3",)]
    assert {each.token_id: each.verdict for each in found.issuances} == {
        TOKEN_ID: "cannot_tell",
        KNOWN.format(1): "issued",
    }


def test_an_id_that_the_logs_do_not_know_gives_a_trace_of_nothing(tables):
    found = trace_of(tables, subject_of(str(uuid.UUID(int=7))))

    assert (found.kind, found.records, found.mail, found.issuances) == ("unknown", 0, None, ())
    assert "no record of it" in screen_text(found)


def screen_text(found):
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(trace_screen(found))
    console.file.close()
    return console.export_text()


def test_the_screen_says_simulated_and_answers_first(session):
    lines = screen_text(session).splitlines()

    assert lines[0].startswith("Simulated")
    assert lines[2] == f"session {SESSION}"
    assert lines[3] == "6 record(s), 2025-03-05 07:30:00 to 2025-03-05 10:30:00"
    assert lines[4].startswith("Was each of its 2 token(s) ever issued")
    text = "\n".join(lines)
    for shown in ("signin:1", "inbox_rule", "/v1.0/me/messages", "1 message(s) for certain", "203.0.113.8"):
        assert shown in text


def test_log_text_reaches_the_terminal_without_its_control_characters():
    hostile = make_tables(world([access(user_agent="\x1b]0;owned\x07[red]x[/red]", actor="a\r\nb")]))
    text = screen_text(trace_of(hostile, subject_of(UTI)))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]x[/red]" in text


def test_the_json_is_one_object_with_phrases_said(session):
    found = json.loads(to_json(session))

    assert found["kind"] == "session"
    assert found["issuances"][0]["verdict"] in {"issued", "not_issued", "cannot_tell"}
    assert found["mail"]["certain"] == 1


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An empty store: what it says of a token is that it cannot tell."""
    place = tmp_path_factory.mktemp("trace") / "store"
    Store.create(Settings(store_dir=place)).close()
    return place


def files_with(text, folder):
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_token_on_the_command_line_is_warned_of_and_stays_nowhere(store):
    token = sealed(CLAIMS, signature="U2VjcmV0U2lnbmF0dXJl")
    result = CliRunner().invoke(cli.app, ["token", "trace", token, "--store", str(store), "--json"])

    assert result.exit_code == 0, result.output
    assert "stays in the shell's history" in result.stderr
    found = json.loads(result.stdout)
    assert (found["subject"], found["records"]) == (UTI, 0)
    assert [(each["verdict"], each["reason"]) for each in found["issuances"]] == [("cannot_tell", "sign_ins_absent")]
    for part in token.split("."):
        assert part not in result.stdout + result.stderr
        assert files_with(part, store) == []


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_token_from_a_file_or_a_pipe_is_not_warned_of(store, tmp_path, way):
    path = tmp_path / "token.jwt"
    path.write_text(f"{sealed(CLAIMS)}\n")
    given = str(path) if way == "file" else "-"
    result = CliRunner().invoke(
        cli.app, ["token", "trace", given, "--store", str(store)], input=path.read_text() if way == "stdin" else None
    )

    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert f"token {UTI}" in result.stdout
    assert "Was it ever issued, as far as the logs show? cannot tell (there is no sign-in log)" in " ".join(
        result.stdout.split()
    )


def test_an_id_that_begins_with_a_dash_is_given_after_two(store):
    uti = "-kVZRE8tFkinHtPA7_EFAA"
    result = CliRunner().invoke(cli.app, ["token", "trace", "--store", str(store), "--json", "--", uti])

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["subject"] == uti
