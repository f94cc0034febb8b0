"""`brokenseal notify` from end to end: processes that are killed, a real server, a Maildir of answers."""

import json
import os
import re
import signal
import subprocess
import sys
from email.message import EmailMessage

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from brokenseal.cli import app
from brokenseal.errors import BrokensealError
from brokenseal.notices.sending_ledger import opened
from brokenseal.reports.json_document import document_to_json
from notices.post_office import PASSWORD, USER, Box, parsed, server, server_context
from notices.victims import many

RUNNER = CliRunner()
COUNT = 25
AT = "2026-06-01T12:00:00Z"
LATER = "2026-06-05T12:00:00Z"


def call(*arguments):
    done = RUNNER.invoke(app, ["notify", *map(str, arguments)], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        if isinstance(done.exception, BrokensealError):
            return 2, "", str(done.exception)
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def written(folder, count, *, simulated=False):
    """Documents and contacts on disk, as `notify plan` takes them."""
    documents, parties = many(count, simulated=simulated)
    names = []
    for number, each in enumerate(documents):
        names.append(folder / f"{number:02d}.json")
        names[-1].write_bytes(document_to_json(each))
    rows = ["organisation,covers,address,name,language,role,order,certificate"]
    rows += [
        f"{party.name},{party.covers[0]},{each.address},{each.name},{each.language},{each.role},{each.order},"
        for party in parties
        for each in party.contacts
    ]
    (folder / "contacts.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [argument for name in names for argument in ("--document", name)]


def planned(folder, documents, *more):
    code, out, err = call(
        "plan", *documents, "--contacts", folder / "contacts.csv", "--from", "notices@provider.example", "--ask",
        "Telephone 0 123", "-o", folder / "plan.json", "--now", AT, "--json", *more,
    )  # fmt: skip
    assert code == 0, err
    return json.loads(out)


def sending(folder, summary, port, authority, *more):
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    return [
        "send", "--plan", folder / "plan.json", "--hash", summary["hash"], "--really", "--smtp", f"localhost:{port}",
        "--user", USER, "--password-file", folder / "password", "--ca", authority, *more,
    ]  # fmt: skip


def run_process(arguments, box, hook, at_mail, *, number=signal.SIGKILL):
    """The command as a process of its own, sent a signal when the server sees the nth mail at the hook."""
    process = subprocess.Popen(
        [sys.executable, "-m", "brokenseal", "notify", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def kill(count):
        if count == at_mail:
            os.kill(process.pid, number)
            if number == signal.SIGKILL:
                process.wait(30)

    setattr(box, hook, kill)
    process.communicate(timeout=120)
    setattr(box, hook, None)
    return process.returncode


def answered(folder, mails, but):
    """A Maildir with a person's answer to each mail but one, as mail programs write them."""
    (folder / "answers" / "new").mkdir(parents=True)
    (folder / "answers" / "cur").mkdir()
    for number, mail in enumerate(mails):
        found = parsed(mail)
        if number == but:
            continue
        reply = EmailMessage()
        reply["From"], reply["To"] = found["To"], found["Reply-To"]
        reply["Subject"] = f"Re: {found['Subject']}"
        reply["Message-ID"] = f"<{number}@victim.example>"
        if number % 2:
            reply["In-Reply-To"] = found["Message-ID"]
            del reply["Subject"]
            reply["Subject"] = "read"
        reply.set_content("We have read it.")
        (folder / "answers" / "new" / f"{number}").write_bytes(bytes(reply))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_25_notices_are_sent_once_each_through_kills_and_24_are_acknowledged_and_one_is_escalated(tmp_path):
    context, authority = server_context(tmp_path)
    summary = planned(tmp_path, written(tmp_path, COUNT, simulated=True))
    assert len(summary["notices"]) == COUNT
    box = Box()
    with server(box, tls_context=context, login=True) as port:
        arguments = sending(tmp_path, summary, port, authority, "--now", AT)
        killed = run_process(arguments, box, "on_mail", 12)
        assert (killed, len(box.mails)) == (-signal.SIGKILL, 12)
        code, out, _ = call(*arguments, "--json")
        assert code == 0
        assert len(json.loads(out)["sent"]) == COUNT - 12
        assert json.loads(call(*arguments, "--json")[1])["sent"] == []
        assert len(box.ids) == len(set(box.ids)) == COUNT
        assert all(box.was_tls)
        assert {re.search("SIMULATED|SIMUL", parsed(mail)["Subject"]) is not None for mail in box.mails} == {True}

        silent = box.envelopes[7][1][0]
        answered(tmp_path, box.mails, but=7)
        status = ("status", "--plan", tmp_path / "plan.json", "--json")
        _, out, _ = call(*status, "--read", tmp_path / "answers", "--now", LATER)
        assert json.loads(out)["counts"] == {"acknowledged": COUNT - 1, "silent": 1}
        (left,) = [each for each in json.loads(out)["notices"] if each["state"] == "silent"]
        assert left["contact"] == silent

        code, out, _ = call(*arguments, "--escalate", "--now", LATER, "--json")
        assert (code, len(json.loads(out)["sent"])) == (0, 1)
    assert box.envelopes[-1][1] == (silent.replace("soc@", "chief@"),)
    assert len(box.ids) == len(set(box.ids)) == COUNT + 1
    found = json.loads(call(*status, "--now", LATER)[1])
    assert (found["counts"], found["escalated"]) == ({"acknowledged": COUNT - 1, "waiting": 1}, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_a_kill_between_the_servers_answer_and_the_ledger_leaves_one_uncertain_and_none_twice(tmp_path):
    context, authority = server_context(tmp_path)
    summary = planned(tmp_path, written(tmp_path, 5))
    box = Box()
    with server(box, tls_context=context, login=True) as port:
        arguments = sending(tmp_path, summary, port, authority)
        killed = run_process(arguments, box, "on_taken", 3)
        assert (killed, len(box.mails)) == (-signal.SIGKILL, 3)
        code, out, _ = call(*arguments)
        assert code == 3
        assert "2 sent, 0 not sent, 1 uncertain" in out
        assert f"--resend-uncertain '{box.ids[2]}'" in out
        assert len(box.ids) == len(set(box.ids)) == 5
        code, out, _ = call(*arguments, "--resend-uncertain", box.ids[2])
    assert code == 0
    assert box.ids.count(box.ids[2]) == 2
    assert len(set(box.ids)) == 5


# ---------------------------------------------------------------- what holds a hand back


@pytest.fixture
def one(tmp_path):
    return tmp_path, planned(tmp_path, written(tmp_path, 1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such modes")
def test_what_is_written_about_all_victims_is_for_its_owner_alone(one):
    folder, summary = one
    call("send", "--plan", folder / "plan.json", "--hash", summary["hash"], "--really", "--eml", folder / "out")
    names = ("plan.json", "notices.key", "notices.ledger.jsonl", "out")

    assert {name: (folder / name).stat().st_mode & 0o077 for name in names} == dict.fromkeys(names, 0)


def test_without_really_nothing_is_sent_and_it_says_what_would_be(one):
    folder, summary = one
    code, out, err = call("send", "--plan", folder / "plan.json", "--hash", summary["hash"], "--eml", folder / "out")

    assert code == 0
    assert "1 letter(s) would be sent" in out
    assert "--really is missing" in err
    assert not (folder / "out").exists()
    assert not (folder / "notices.ledger.jsonl").exists()


@pytest.mark.parametrize("wrong", ["0" * 64, "", "x"])
def test_another_hash_sends_nothing(one, wrong):
    folder, _ = one
    code, _, err = call("send", "--plan", folder / "plan.json", "--hash", wrong, "--really", "--eml", folder / "out")

    assert code == 2
    assert "--hash" in err
    assert not (folder / "out").exists()


def test_a_plan_that_was_edited_sends_nothing(one):
    folder, summary = one
    plan = folder / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b"soc@org00.example", b"soc@evil0.example"))

    assert call("send", "--plan", plan, "--hash", summary["hash"], "--really", "--eml", folder / "out")[0] == 2
    assert call("status", "--plan", plan)[0] == 2


@pytest.mark.parametrize(
    "more",
    [
        ("--smtp", "smtp.contoso.example:25", "--tls", "none"),
        ("--smtp", "smtp.contoso.example"),
        ("--smtp", "smtp.contoso.example:99999"),
        ("--smtp", "x:25", "--eml", "out"),
        (),
        ("--smtp", "x:25", "--user", "u"),
        ("--eml", "out", "--sign-cert", "c.pem"),
    ],
)
def test_ways_that_cannot_be_meant_are_refused_before_anything_goes(one, more):
    folder, summary = one
    code, _, err = call("send", "--plan", folder / "plan.json", "--hash", summary["hash"], "--really", *more)

    assert code == 2
    assert "expected" in err
    assert not (folder / "notices.ledger.jsonl").exists()


def test_letters_as_files_and_two_approvals(tmp_path):
    summary = planned(tmp_path, written(tmp_path, 2), "--approvals", "2")
    plan = ("--plan", tmp_path / "plan.json", "--hash", summary["hash"])
    send = ("send", *plan, "--really", "--eml", tmp_path / "out")
    assert call(*send)[0] == 2
    assert call("approve", *plan, "--as", "Ann")[0] == 0
    assert call("approve", *plan, "--as", " ann ")[0] == 2
    assert call(*send)[0] == 2
    assert call("approve", *plan, "--as", "Bob")[0] == 0
    code, out, _ = call(*send)

    assert code == 0
    assert "2 sent, 0 not sent, 0 uncertain" in out
    files = sorted((tmp_path / "out").iterdir())
    assert [parsed(path.read_bytes())["To"].addresses[0].addr_spec for path in files] == [
        "soc@org00.example", "soc@org01.example",
    ]  # fmt: skip
    assert call(*send)[1].startswith("0 sent")


def test_signed_approvals_count_once_a_key_and_names_count_for_nothing(tmp_path):
    keys = {}
    for name in ("ann", "bob", "eve"):
        keys[name] = Ed25519PrivateKey.generate()
        (tmp_path / f"{name}.key").write_bytes(
            keys[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
        )
        (tmp_path / f"{name}.pub").write_bytes(
            keys[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    (tmp_path / "pw").write_text("pw\n", encoding="utf-8")
    who = ("--approver", tmp_path / "ann.pub", "--approver", tmp_path / "bob.pub")
    summary = planned(tmp_path, written(tmp_path, 1), "--approvals", "2", *who)
    plan = ("--plan", tmp_path / "plan.json", "--hash", summary["hash"])
    send = ("send", *plan, "--really", "--eml", tmp_path / "out")

    def approve(name, key, password=True):
        more = ("--key", tmp_path / f"{key}.key") if key else ()
        return call(
            "approve", *plan, "--as", name, *more, *(("--key-password-file", tmp_path / "pw") if password else ())
        )

    assert approve("Ann", None)[0] == 2
    assert approve("Ann", "ann", password=False)[0] == 2
    assert approve("Ann", "eve")[0] == 2
    assert approve("Ann", "ann")[0] == 0
    assert approve("Another name", "ann")[0] == 2
    with opened(tmp_path / "notices.ledger.jsonl") as ledger:
        signature = ledger.entries[0].source
        public = keys["bob"].public_key().public_bytes_raw().hex()
        for forged in (
            "",
            signature,
            f"{public}:{signature.partition(':')[2]}",
            f"{public}:zz",
            f"{public}:{'00' * 64}",
        ):
            ledger.append("approved", at=ledger.entries[0].at, plan=summary["hash"], detail="Bob", source=forged)
    assert call(*send)[0] == 2
    assert approve("Bob", "bob")[0] == 0
    assert call(*send)[0] == 0


def test_a_mailbox_that_nobody_tells_ends_planning_with_a_code_of_its_own(tmp_path):
    documents = written(tmp_path, 2)
    lines = (tmp_path / "contacts.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "contacts.csv").write_text("\n".join(lines[:3]) + "\n", encoding="utf-8")
    code, out, err = call(
        "plan", *documents, "--contacts", tmp_path / "contacts.csv", "--from", "n@provider.example", "--ask", "x",
        "-o", tmp_path / "plan.json", "--show",
    )  # fmt: skip

    assert code == 3
    assert out.startswith("! NOBODY IS TOLD about this mailbox: no contact covers it: zq001x.box@org01.example")
    assert "1 notice(s) planned, nothing sent" in err


@pytest.mark.skipif(sys.platform == "win32", reason="processes are asked to end by a signal")
def test_a_request_to_end_waits_for_the_letter_that_is_going_out(tmp_path):
    context, authority = server_context(tmp_path)
    summary = planned(tmp_path, written(tmp_path, 4))
    box = Box()
    with server(box, tls_context=context, login=True) as port:
        arguments = sending(tmp_path, summary, port, authority)
        code = run_process(arguments, box, "on_taken", 2, number=signal.SIGTERM)
        assert (code, len(box.mails)) == (3, 2)
        code, out, _ = call(*arguments)
    assert code == 0
    assert "2 sent, 0 not sent, 0 uncertain" in out
    assert len(set(box.ids)) == len(box.ids) == 4


def test_a_directory_names_owners_that_the_list_lacks(tmp_path):
    documents = written(tmp_path, 1)
    (tmp_path / "users.csv").write_text(
        "userPrincipalName,alternateEmailAddress\nzq000x.box@org00.example,me@home.example\n", encoding="utf-8"
    )
    summary = planned(tmp_path, documents, "--directory", tmp_path / "users.csv", "--case", "case-000000000000")

    assert [(each["kind"], each["letters"][0]["to"]) for each in summary["notices"]] == [
        ("organisation", "soc@org00.example"),
        ("owner", "me@home.example"),
    ]
    assert summary["not_told"] == []


def test_status_for_people(one):
    folder, summary = one
    call(
        "send",
        "--plan",
        folder / "plan.json",
        "--hash",
        summary["hash"],
        "--really",
        "--eml",
        folder / "out",
        "--now",
        AT,
    )
    code, out, _ = call("status", "--plan", folder / "plan.json", "--now", LATER)

    assert code == 0
    assert out.splitlines()[0].startswith(
        "silent: Org00: soc@org00.example, due 2026-06-04 12:00 UTC, next: chief@org00.example"
    )
    assert out.splitlines()[-1] == "1 notice(s): 1 silent; 0 escalated"


def test_the_clock_prints_deadlines_and_says_that_it_is_no_advice(tmp_path):
    written(tmp_path, 1)
    code, out, _ = call("clock", "--document", tmp_path / "00.json", "--aware", AT, "--now", AT)

    assert code == 0
    assert "not legal advice" in out
    assert "GDPR Art. 33(1)  2026-06-04 12:00 UTC  runs" in out
    values = json.loads(call("clock", "--document", tmp_path / "00.json", "--aware", AT, "--now", AT, "--json")[1])
    assert values["advice"] is False
    assert [each["id"] for each in values["deadlines"]][:2] == ["gdpr-33", "gdpr-34"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("clock",),
        ("clock", "--document", "absent.json"),
        ("clock", "--document", "{0}", "--aware", "soon"),
        ("clock", "--document", "{0}", "--material", "2026-13-01"),
        ("status", "--plan", "absent.json"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(tmp_path, arguments):
    written(tmp_path, 1)
    code, _, err = call(*(argument.format(tmp_path / "00.json") for argument in arguments))

    assert code == 2
    assert len(err.strip().splitlines()) == 1
