"""The simulated provider over real sockets: what it issues, which tokens its two gates let pass, and what it writes down."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import http.client
import json
import socket
import threading
import uuid

import jwt
import pytest

from brokenseal.errors import UsageError
from brokenseal.fields import canonical_token_id
from brokenseal.simulated import is_simulated
from brokenseal.sources import identify
from brokenseal.tokens.model import CONSUMER_TENANT
from brokenseal.tokens.provider import interactive
from brokenseal.tokens.provider.access_log import access_line
from brokenseal.tokens.provider.client import Line, form
from brokenseal.tokens.provider.exports import NAMES, write_exports
from brokenseal.tokens.provider.gates import Build
from brokenseal.tokens.provider.identity import access_claims
from brokenseal.tokens.provider.keys import CONSUMER_ISSUER, ENTERPRISE_ISSUER, make_key, signed_token
from brokenseal.tokens.provider.server import serving
from brokenseal.tokens.provider.tenant import ADD_IN, ARCHIVE, EXCHANGE, GRAPH, OWA, token_text
from brokenseal.tokens.provider.world import Clock, make_world

NOW = dt.datetime(2025, 3, 19, 8, 30, tzinfo=dt.UTC)
REQUEST_ID = "3d1a2b4c-0000-4000-8000-00000000ab00"
SESSION = "77777777-7777-4777-8777-777777777777"
FIND = "/owa/service.svc?action=FindItem"
OPEN = "/owa/service.svc?action=GetItem"
GIVE = "/owa/service.svc?action=GetAccessTokenForResource"
AGENT = "Mozilla/5.0 (test)"


@functools.cache
def keys():
    return make_key(ENTERPRISE_ISSUER), make_key(CONSUMER_ISSUER)


class Place:
    """One world with both builds served, and a line to each."""

    def __init__(self, ports):
        self.clock = Clock(NOW)
        self.world = make_world(7, clock=self.clock, keys=keys())
        self.ports = ports
        self.lines = {}

    def call(self, build, method, path, *, token="", body=None):
        return self.lines[build].call(method, path, address="198.51.100.9", agent=AGENT, token=token, body=body)

    def sign_in(self, *, resource=EXCHANGE, app=OWA, build=Build.FAULTY, **more):
        person = self.world.tenant.people[0]
        fields = {"grant_type": "password", "username": person.upn, "password": person.password, **more}
        path = f"/{self.world.tenant.tenant_id}/oauth2/v2.0/token"
        return self.call(build, "POST", path, body=form(client_id=app.app_id, resource=resource, **fields))

    def claims(self, **changed):
        made = access_claims(
            self.world.tenant.tenant_id, person=self.world.tenant.people[0], app=OWA, resource=EXCHANGE,
            session_id=SESSION, request_id=REQUEST_ID, at=self.clock(), lifetime_s=3600,
        )  # fmt: skip
        return {name: value for name, value in (made | changed).items() if value is not None}

    def mail(self, build):
        return self.world.providers[build].mail

    def items(self):
        return self.world.tenant.mail[self.world.tenant.people[0].upn]


@pytest.fixture
def place():
    found = Place({})
    with contextlib.ExitStack() as stack:
        for build in Build:
            found.ports[build] = stack.enter_context(serving(found.world.providers[build]))
            found.lines[build] = stack.enter_context(Line(found.ports[build]))
        yield found


# ---------------------------------------------------------------- identity provider


def test_every_published_key_names_the_issuer_it_may_speak_for(place):
    enterprise, consumer = place.world.enterprise_key, place.world.consumer_key
    published = {
        tenant: [
            (key["kid"], key["issuer"])
            for key in place.call(Build.FAULTY, "GET", f"/{tenant}/discovery/v2.0/keys").document["keys"]
        ]
        for tenant in ("common", "organizations", place.world.tenant.tenant_id, "consumers", CONSUMER_TENANT)
    }

    ours, theirs = (enterprise.kid, ENTERPRISE_ISSUER), (consumer.kid, CONSUMER_ISSUER)
    assert list(published.values()) == [[ours, theirs], [ours], [ours], [theirs], [theirs]]


def test_published_keys_hold_no_private_member(place):
    document = place.call(Build.FAULTY, "GET", "/common/discovery/v2.0/keys").document

    assert [set(key) for key in document["keys"]] == [{"kty", "use", "kid", "n", "e", "issuer"}] * 2


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("common", ENTERPRISE_ISSUER),
        ("organizations", ENTERPRISE_ISSUER),
        ("consumers", CONSUMER_ISSUER),
        ("own", "own"),
    ],
)
def test_metadata_name_the_issuer_and_where_the_keys_are(place, tenant, issuer):
    own = place.world.tenant.tenant_id
    tenant = own if tenant == "own" else tenant
    document = place.call(Build.MENDED, "GET", f"/{tenant}/v2.0/.well-known/openid-configuration").document

    base = f"http://127.0.0.1:{place.ports[Build.MENDED]}/{tenant}"
    assert document["issuer"] == (ENTERPRISE_ISSUER.replace("{tenantid}", own) if issuer == "own" else issuer)
    assert document["jwks_uri"] == f"{base}/discovery/v2.0/keys"
    assert document["token_endpoint"] == f"{base}/oauth2/v2.0/token"


def test_a_token_is_really_signed_and_its_id_is_that_of_the_sign_in(place):
    """Checked with another library, and with the key as it is published."""
    grant = place.sign_in().document
    (key,) = place.call(Build.FAULTY, "GET", "/organizations/discovery/v2.0/keys").document["keys"]
    claims = jwt.decode(
        grant["access_token"], jwt.PyJWK(key).key, algorithms=["RS256"], audience=EXCHANGE,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )  # fmt: skip

    (line,) = place.world.identity.sign_ins
    person = place.world.tenant.people[0]
    assert canonical_token_id(claims["uti"]) == (line["id"], "b64guid")
    assert line["id"].endswith("00")
    assert line["uniqueTokenIdentifier"] == claims["uti"]
    assert line["sessionId"] == claims["sid"]
    assert line["signInEventTypes"] == ["interactiveUser"]
    assert line["status"]["errorCode"] == 0
    assert line["ipAddress"] == "198.51.100.9"
    assert (claims["ver"], claims["oid"], claims["tid"]) == ("2.0", person.object_id, place.world.tenant.tenant_id)
    assert claims["iss"] == f"https://login.microsoftonline.com/{claims['tid']}/v2.0"
    assert claims["exp"] - claims["iat"] == grant["expires_in"]
    assert 3600 <= grant["expires_in"] <= 5400
    assert is_simulated([claims["tid"]])


def test_a_refresh_keeps_the_session_and_is_a_sign_in_of_its_own(place):
    first = place.sign_in().document
    second = place.sign_in(grant_type="refresh_token", refresh_token=first["refresh_token"]).document

    old, new = (jwt.decode(each["access_token"], options={"verify_signature": False}) for each in (first, second))
    assert old["sid"] == new["sid"]
    assert old["uti"] != new["uti"]
    assert [line["signInEventTypes"] for line in place.world.identity.sign_ins] == [
        ["interactiveUser"],
        ["nonInteractiveUser"],
    ]


@pytest.mark.parametrize(
    ("fields", "code", "logged"),
    [
        ({"password": "wrong"}, 50126, [50126]),
        ({"username": "nobody@wharfside.example"}, 50126, [50126]),
        ({"grant_type": "refresh_token", "refresh_token": "rt.made-up"}, 700082, []),
        ({"grant_type": "made_up"}, 700082, []),
        ({"grant_type": "client_credentials"}, 7000215, []),
        ({"resource": "https://elsewhere.example"}, 500011, []),
    ],
)
def test_who_cannot_prove_himself_gets_no_token(place, fields, code, logged):
    reply = place.sign_in(**fields)

    assert (reply.status, reply.document["error_codes"]) == (400, [code])
    assert "access_token" not in reply.document
    assert [line["status"]["errorCode"] for line in place.world.identity.sign_ins] == logged


def test_an_application_signs_in_as_itself(place):
    grant = place.sign_in(app=ARCHIVE, grant_type="client_credentials", client_secret=ARCHIVE.secret, resource=GRAPH)
    claims = jwt.decode(grant.document["access_token"], options={"verify_signature": False})

    (line,) = place.world.identity.sign_ins
    assert (claims["idtyp"], claims["roles"], claims["azpacr"]) == ("app", ["Mail.Read"], "1")
    assert "sid" not in claims
    assert line["signInEventTypes"] == ["servicePrincipal"]
    assert line["servicePrincipalId"] == claims["oid"] == ARCHIVE.object_id


# ---------------------------------------------------------------- the two gates


def test_the_consumer_key_opens_the_faulty_build_and_not_the_mended_one(place):
    forged = signed_token(place.claims(), place.world.consumer_key)
    replies = {build: place.call(build, "POST", FIND, token=forged) for build in Build}

    assert {build: reply.status for build, reply in replies.items()} == {Build.FAULTY: 200, Build.MENDED: 401}
    assert [check for check, _ in replies[Build.MENDED].refusals] == ["key_issuer"]
    assert len(replies[Build.FAULTY].document["value"]) == len(place.items())


@pytest.mark.parametrize("build", Build)
def test_an_ordinary_token_opens_both_builds(place, build):
    token = place.sign_in(build=build).document["access_token"]

    assert place.call(build, "POST", FIND, token=token).status == 200


WRONG = {
    "another audience": ({"aud": GRAPH}, "enterprise", "audience"),
    "another tenant": ({"tid": "51a1a7ed-0000-4000-8000-000000000001"}, "enterprise", "tenant"),
    "expired": ({"exp": int(NOW.timestamp()) - 3600}, "enterprise", "time"),
    "not yet valid": ({"nbf": int(NOW.timestamp()) + 3600}, "enterprise", "time"),
    "no times": ({"nbf": None, "exp": None}, "enterprise", "time"),
    "year 9999": ({"nbf": 253_370_764_800}, "enterprise", "time"),
}


@pytest.mark.parametrize("build", Build)
@pytest.mark.parametrize("name", WRONG)
def test_what_the_fault_does_not_concern_is_refused_by_both(place, build, name):
    changed, _, check = WRONG[name]
    reply = place.call(build, "POST", FIND, token=signed_token(place.claims(**changed), place.world.enterprise_key))

    assert reply.status == 401
    assert reply.refusals
    if build is Build.FAULTY:
        assert [found for found, _ in reply.refusals] == [check]


def broken_tokens(place):
    whole = signed_token(place.claims(), place.world.enterprise_key)
    header, payload, signature = whole.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return {
        "empty": "",
        "no token": "x",
        "no signature": f"{header}.{payload}.",
        "cut signature": whole[:-9],
        "changed payload": f"{header}.{payload[:-4]}AAAA.{signature}",
        "none": f"{none}.{payload}.",
        "unknown key": whole.replace(header, _header_with(header, kid="somebody")),
        "not ascii": "é.é.é",
    }


def _header_with(header, **changed):
    made = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))) | changed
    return base64.urlsafe_b64encode(json.dumps(made).encode()).decode().rstrip("=")


@pytest.mark.parametrize("build", Build)
def test_broken_tokens_are_refused_and_never_repeated(place, build):
    for name, token in broken_tokens(place).items():
        answer = raw_request(place.ports[build], f"POST {FIND} HTTP/1.1", {"Authorization": f"Bearer {token}"})
        assert answer[0] == 401, name
        assert "WWW-Authenticate" in answer[1], name
        assert not token or len(token) < 9 or token not in answer[2], name


def test_a_retired_key_is_refused_by_both_with_its_reason(place):
    forged = signed_token(place.claims(), place.world.consumer_key)
    place.world.identity.cabinet.retire(place.world.consumer_key.kid, at=NOW)
    replies = {build: place.call(build, "POST", FIND, token=forged) for build in Build}

    assert {reply.status for reply in replies.values()} == {401}
    assert [check for check, _ in replies[Build.FAULTY].refusals] == ["signature"]
    assert {"key_retired", "key_revoked"} <= {check for check, _ in replies[Build.MENDED].refusals}
    assert place.call(Build.FAULTY, "GET", "/consumers/discovery/v2.0/keys").document == {"keys": []}


def test_without_a_key_no_token_is_given(place):
    place.world.identity.cabinet.retire(place.world.enterprise_key.kid, at=NOW)

    assert place.sign_in().document["error_codes"] == [90015]
    assert place.world.identity.sign_ins == []


@pytest.mark.parametrize(("build", "renewed"), [(Build.FAULTY, 200), (Build.MENDED, 403)])
def test_only_the_faulty_web_mail_renews_a_token_of_its_own(place, build, renewed):
    token = place.sign_in(build=build).document["access_token"]
    body = json.dumps({"ClientAppId": ADD_IN.app_id}).encode()
    given = place.call(build, "POST", GIVE, token=token, body=body)
    again = place.call(build, "POST", GIVE, token=given.document["AccessToken"], body=body)

    assert (given.status, again.status) == (200, renewed)
    first, minted = (
        jwt.decode(each, options={"verify_signature": False}) for each in (token, given.document["AccessToken"])
    )
    assert (minted["sid"], minted["azp"]) == (first["sid"], ADD_IN.app_id)
    records = [record for record in place.mail(build).audit if record["RecordType"] == 275]
    assert len(records) == (2 if build is Build.FAULTY else 1)
    assert records[0]["UniqueTokenIdentifier"] == minted["uti"]
    assert len(place.world.identity.sign_ins) == 1


# ---------------------------------------------------------------- mail, and what is written of it


def open_message(place, build, token, number, *, path="owa"):
    item_id = place.items()[number].item_id
    if path == "owa":
        return place.call(build, "POST", OPEN, token=token, body=json.dumps({"ItemId": item_id}).encode())
    return place.call(build, "GET", f"{path}/{item_id}", token=token)


def test_reads_within_two_minutes_stand_in_one_record_with_the_token(place):
    token = signed_token(place.claims(), place.world.consumer_key)
    for number, seconds in ((0, 0), (1, 60), (0, 100), (2, 121)):
        place.clock.now = NOW + dt.timedelta(seconds=seconds)
        assert open_message(place, Build.FAULTY, token, number).document["Subject"] == place.items()[number].subject
    place.clock.now = NOW + dt.timedelta(minutes=61)
    open_message(place, Build.FAULTY, token, 0)
    place.mail(Build.FAULTY).flush()

    records = place.mail(Build.FAULTY).audit
    listed = [
        [item["InternetMessageId"] for folder in record["Folders"] for item in folder["FolderItems"]]
        for record in records
    ]
    ids = [message.internet_message_id for message in place.items()]
    assert [sorted(each) for each in listed] == [sorted(ids[:2]), [ids[2]], [ids[0]]]
    assert [record["OperationCount"] for record in records] == [2, 1, 1]
    assert records[0]["CreationTime"] == "2025-03-19T08:30:00"
    assert records[0]["ClientInfoString"] == f"Client=OWA;{AGENT};"
    assert records[0]["ClientIPAddress"] == "198.51.100.9"
    assert records[0]["AppAccessContext"] == {
        "AADSessionId": SESSION,
        "APIId": OWA.app_id,
        "ClientAppId": OWA.app_id,
        "IssuedAtTime": "2025-03-19T08:30:00",
        "UniqueTokenId": token_text(REQUEST_ID),
    }
    assert len(place.mail(Build.FAULTY).served) == 5


def test_listing_leaves_no_record(place):
    token = place.sign_in().document["access_token"]
    listed = place.call(Build.FAULTY, "GET", "/api/v2.0/me/messages", token=token).document["value"]
    place.mail(Build.FAULTY).flush()

    assert len(listed) == len(place.items())
    assert "Body" not in listed[0]
    assert place.mail(Build.FAULTY).audit == []


@pytest.mark.parametrize("path", ["/me/messages", "/api/v2.0/me/messages", "/v1.0/me/messages", "/beta/me/messages"])
def test_every_api_opens_a_message_and_leaves_its_record(place, path):
    is_graph = path.startswith(("/v1.0", "/beta"))
    resource = GRAPH if is_graph else EXCHANGE
    token = place.sign_in(resource=resource).document["access_token"]
    reply = open_message(place, Build.FAULTY, token, 3, path=path)
    place.mail(Build.FAULTY).flush()

    message = place.items()[3]
    assert reply.document["internetMessageId" if is_graph else "InternetMessageId"] == message.internet_message_id
    (record,) = place.mail(Build.FAULTY).audit
    assert (record["AppId"], record["ClientInfoString"]) == (resource, "Client=REST;;")
    assert len(place.mail(Build.FAULTY).graph) == is_graph


def test_a_token_opens_its_owners_mailbox_alone_and_an_applications_any(place):
    other = place.world.tenant.people[1]
    own = place.sign_in().document["access_token"]
    app = place.sign_in(app=ARCHIVE, grant_type="client_credentials", client_secret=ARCHIVE.secret)
    path = f"/api/v2.0/users/{other.upn}/messages"

    assert place.call(Build.FAULTY, "GET", path, token=own).status == 403
    assert place.call(Build.FAULTY, "GET", path, token=app.document["access_token"]).status == 200
    assert place.call(Build.FAULTY, "GET", "/api/v2.0/me/messages", token=app.document["access_token"]).status == 403


def test_exports_are_records_that_the_product_knows(place, tmp_path):
    token = place.sign_in().document["access_token"]
    open_message(place, Build.FAULTY, token, 0)
    place.call(Build.FAULTY, "POST", GIVE, token=token, body=b"{}")
    graph = place.sign_in(resource=GRAPH).document["access_token"]
    open_message(place, Build.FAULTY, graph, 1, path="/v1.0/me/messages")
    counts = write_exports(place.world.providers[Build.FAULTY], tmp_path)

    assert counts == dict(zip(NAMES, (2, 3, 1), strict=True))
    found = []
    for name in NAMES:
        for line in (tmp_path / name).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            source, shape = identify(record)
            rows = source.normalise(record)
            found.append((shape, sorted(rows), rows["events"][0]["token_id"] is not None))
    assert found == [
        ("sign_in_graph", ["events", "sign_ins"], True),
        ("sign_in_graph", ["events", "sign_ins"], True),
        ("bare_record", ["events", "sign_ins"], True),
        ("bare_record", ["accessed_items", "events", "mail_accesses"], True),
        ("bare_record", ["accessed_items", "events", "mail_accesses"], True),
        ("graph_activity_log_analytics", ["events", "graph_requests"], True),
    ]


def test_equal_seeds_and_clocks_give_equal_logs():
    logs = []
    for _ in range(2):
        place = Place({})
        for build in Build:
            with serving(place.world.providers[build]) as port, Line(port) as line:
                place.lines[build] = line
                token = place.sign_in(build=build).document["access_token"]
                open_message(place, build, token, 0)
                place.mail(build).flush()
        logs.append((place.world.identity.sign_ins, [place.mail(build).audit for build in Build]))

    assert logs[0] == logs[1]
    assert logs[0][1][0] != logs[0][1][1]


# ---------------------------------------------------------------- sockets, hosts, secrets


def raw_request(port, first_line, headers, body=b""):
    """Status, header block and body of a request written by hand."""
    head = [first_line, *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    head += [f"Content-Length: {len(body)}"] if "Content-Length" not in headers else []
    head += ["Host: 127.0.0.1"] if "Host" not in headers else []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall("\r\n".join([*head, "", ""]).encode() + body)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), top.decode(), rest.decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example", ""])
def test_it_serves_on_loopback_or_not_at_all(place, host):
    with (
        pytest.raises(UsageError, match="never leaves this machine"),
        serving(place.world.providers[Build.FAULTY], host=host),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost", 200), ("localhost:80", 200), ("127.0.0.1:1", 200), ("[::1]:80", 200),
        ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("evil.example:80", 421), ("", 421),
    ],
)  # fmt: skip
def test_a_page_that_was_lured_here_by_another_name_gets_nothing(place, host, status):
    answer = raw_request(place.ports[Build.FAULTY], "GET /common/discovery/v2.0/keys HTTP/1.1", {"Host": host})

    assert answer[0] == status


def test_a_taken_port_is_an_error_of_the_call(place):
    with (
        pytest.raises(UsageError, match="a free port"),
        serving(place.world.providers[Build.FAULTY], port=place.ports[Build.FAULTY]),
    ):
        pass


@pytest.mark.parametrize(
    ("first_line", "headers", "status"),
    [
        ("GET /nowhere HTTP/1.1", {}, 404),
        ("GET /unknown-tenant/discovery/v2.0/keys HTTP/1.1", {}, 400),
        ("POST /common/discovery/v2.0/keys HTTP/1.1", {}, 405),
        ("GET /common/oauth2/v2.0/token HTTP/1.1", {}, 405),
        ("DELETE /me/messages HTTP/1.1", {}, 405),
        ("GET /owa/service.svc?action=GetItem HTTP/1.1", {}, 404),
        ("POST /owa/service.svc?action=SendItem HTTP/1.1", {}, 404),
        ("GET /me/messages HTTP/1.1", {}, 401),
        ("POST /common/oauth2/v2.0/token HTTP/1.1", {"Content-Length": "999999999"}, 413),
        ("POST /common/oauth2/v2.0/token HTTP/1.1", {"Content-Length": "-1"}, 413),
        ("POST /common/oauth2/v2.0/token HTTP/1.1", {"Transfer-Encoding": "chunked"}, 413),
        ("GET http://[bad/me/messages HTTP/1.1", {}, 404),
        ("GET //me/messages HTTP/1.1", {}, 401),
    ],
)
def test_strange_requests_get_an_answer_and_the_server_lives(place, first_line, headers, status):
    assert raw_request(place.ports[Build.MENDED], first_line, headers)[0] == status
    assert place.call(Build.MENDED, "GET", "/common/discovery/v2.0/keys").status == 200


def test_bytes_that_are_no_request_do_not_stop_it(place):
    for junk in (b"\x00" * 64, b"GET\r\n\r\n", b"\xff\xfe" * 40 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", place.ports[Build.FAULTY]), timeout=10) as line:
            line.sendall(junk)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65536):
                pass

    assert place.call(Build.FAULTY, "GET", "/common/discovery/v2.0/keys").status == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"ItemId": {}}', b"[" * 60_000, b"\xff", b'{"ClientAppId": 5}']
)
def test_strange_bodies_open_nothing(place, body):
    token = place.sign_in().document["access_token"]

    assert place.call(Build.FAULTY, "POST", OPEN, token=token, body=body).status == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"uti": ["a"]}, {"uti": None}, {"sid": {"a": 1}}, {"azp": 7}, {"iat": 10**30}, {"iat": "x"}, {"iat": -1},
        {"iat": None}, {"roles": "x"}, {"scp": []},
    ],
)  # fmt: skip
def test_claims_of_any_kind_make_a_record_and_no_crash(place, changed):
    token = signed_token(place.claims(**changed), place.world.consumer_key)

    assert open_message(place, Build.FAULTY, token, 0).status == 200
    assert place.call(Build.FAULTY, "POST", GIVE, token=token, body=b"{}").status == 200
    place.mail(Build.FAULTY).flush()
    assert [record["RecordType"] for record in place.mail(Build.FAULTY).audit] == [275, 50]


def test_requests_at_the_same_time_are_each_written_once(place):
    token = place.sign_in().document["access_token"]
    statuses = []

    def read_all(numbers):
        with Line(place.ports[Build.FAULTY]) as line:
            for number in numbers:
                item = place.items()[number].item_id
                path = f"/api/v2.0/me/messages/{item}"
                statuses.append(line.call("GET", path, address="198.51.100.9", agent=AGENT, token=token).status)

    threads = [threading.Thread(target=read_all, args=(range(start, 40, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.mail(Build.FAULTY).flush()

    assert statuses == [200] * 40
    (record,) = place.mail(Build.FAULTY).audit
    assert record["OperationCount"] == 40


def test_no_log_holds_a_token_a_password_or_a_key(place, capfd, tmp_path):
    token = place.sign_in().document["access_token"]
    signature = token.rpartition(".")[2]
    person = place.world.tenant.people[0]
    open_message(place, Build.FAULTY, token, 0)
    raw_request(place.ports[Build.FAULTY], f"GET /me/messages/{token}?access_token={token} HTTP/1.1", {"X-Y": "z"})
    raw_request(place.ports[Build.FAULTY], "GET /me/messages HTTP/1.1", {"User-Agent": token, "X-Forwarded-For": token})
    write_exports(place.world.providers[Build.FAULTY], tmp_path)

    written = "\n".join(place.world.providers[Build.FAULTY].access_log)
    written += "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    captured = capfd.readouterr()
    for secret in (signature, token, person.password, "PRIVATE"):
        assert secret not in written + captured.out + captured.err
    assert (captured.out, captured.err) == ("", "")
    lines = place.world.providers[Build.FAULTY].access_log
    assert lines[0].endswith(f"/{place.world.tenant.tenant_id}/oauth2/v2.0/token 200 uti=-")
    assert lines[1].endswith(
        f"POST /owa/service.svc 200 uti={place.world.identity.sign_ins[0]['uniqueTokenIdentifier']}"
    )
    assert lines[2].endswith("GET /me/messages/[token] 401 uti=-")


def test_a_line_of_the_access_log_is_one_line():
    line = access_line(
        at=NOW, address="198.51.100.9", method="GE\nT", path="/a\x1b[2J\r\nb?x=1", status=404, uti="a\nb c"
    )

    assert line == "2025-03-19T08:30:00Z 198.51.100.9 GE?T /a?[2J??b 404 uti=a?b?c"


# ---------------------------------------------------------------- by hand


def test_tried_by_hand_it_leaves_keys_a_forgery_and_its_logs(tmp_path):
    seen = []
    folder = tmp_path / "try"
    with interactive.open_to_try(
        folder, build=Build.FAULTY, port=0, seed=1, clock=lambda: NOW, watch=seen.append
    ) as lines:
        port = int(lines[0].partition("127.0.0.1:")[2].partition(";")[0])
        token = (folder / "forged.jwt").read_text().strip()
        with Line(port) as line:
            listed = line.call("POST", FIND, address="203.0.113.5", agent=AGENT, token=token)
            body = json.dumps({"ItemId": listed.document["value"][0]["Id"]}).encode()
            assert line.call("POST", OPEN, address="203.0.113.5", agent=AGENT, token=token, body=body).status == 200

    assert "simulated" in lines[0]
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == sorted(
        [*NAMES, "consumer.json", "enterprise.json", "forged.jwt"]
    )
    (record,) = [json.loads(line) for line in (folder / "exports" / NAMES[1]).read_text().splitlines()]
    uti = jwt.decode(token, options={"verify_signature": False})["uti"]
    assert record["AppAccessContext"]["UniqueTokenId"] == uti
    assert [line.split()[2:5] for line in seen] == [["POST", "/owa/service.svc", "200"]] * 2
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):  # noqa: PT011
        pass
    with (
        pytest.raises(UsageError, match="new or empty"),
        interactive.open_to_try(folder, build=Build.FAULTY, port=0, seed=1, clock=lambda: NOW, watch=seen.append),
    ):
        pass


def test_a_connection_that_the_server_closed_is_opened_again(place, monkeypatch):
    line = place.lines[Build.FAULTY]
    line.call("GET", "/nowhere", address="198.51.100.9", agent=AGENT)
    line._connection.sock.shutdown(socket.SHUT_RDWR)

    assert line.call("GET", "/common/discovery/v2.0/keys", address="198.51.100.9", agent=AGENT).status == 200


def test_token_ids_are_the_little_endian_bytes_of_the_request_id():
    assert token_text("445945de-2d4f-4816-a71e-d3c0eff10500") == "3kVZRE8tFkinHtPA7_EFAA"
    assert canonical_token_id(token_text(str(uuid.UUID(int=5 << 64))))[1] == "b64guid"
    assert http.client.HTTPConnection  # the client is the standard library's
