import datetime as dt
import gzip
import ipaddress
import ssl

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.errors import InputError, UsageError
from brokenseal.exchange import taxii
from brokenseal.exchange.indicators import share
from brokenseal.exchange.shared import Terms
from brokenseal.exchange.stix_bundle import bundle_of
from brokenseal.exchange.stix_import import read_objects
from exchange.taxii_server import COLLECTION, basic, running
from exchange.worlds import simple

SHARED = share(simple(), Terms()).shared
OBJECTS = bundle_of(SHARED)["objects"]


def pushed(url, *, access=None, objects=OBJECTS, **options):
    """Plan, and send what is missing, as the command does."""
    with taxii.collection_of(access or taxii.Access(url=url), "mail") as (collection, limit_bytes):
        plan = taxii.planned(collection, objects)
        return plan, taxii.push(collection, plan, **{"limit_bytes": limit_bytes, "poll_s": 0.01, **options})


def pulled(url, **options):
    with taxii.collection_of(taxii.Access(url=url), "mail") as (collection, _):
        return taxii.pull(collection, **options)


def test_what_is_pushed_is_pulled_and_reads_back_to_the_same_facts():
    with running(page=7) as (seen, url):
        plan, result = pushed(url)
        assert (len(plan.objects), plan.present) == (len(OBJECTS), 0)
        assert (result.accepted, result.refused, result.pending) == (len(OBJECTS), 0, 0)
        back = pulled(url)
        assert [each["id"] for each in back] == [each["id"] for each in OBJECTS]
        assert read_objects(list(back)).shared == SHARED
        assert len([path for _, path, _ in seen.requests if "/objects/?" in path]) == -(-len(OBJECTS) // 7)


def test_a_second_push_sends_nothing():
    with running(page=5) as (seen, url):
        pushed(url)
        plan, result = pushed(url)
        assert (plan.objects, plan.present) == ((), len(OBJECTS))
        assert (result.accepted, seen.posts, len(seen.stored)) == (0, 1, len(OBJECTS))


def test_a_push_that_broke_off_is_finished_by_the_next_and_nothing_goes_twice():
    with running(max_content_length=3_000, refuse_posts_after=2) as (seen, url):
        with pytest.raises(InputError, match="503"):
            pushed(url)
        there = len(seen.stored)
        assert 0 < there < len(OBJECTS)
        seen.refuse_posts_after = None
        plan, result = pushed(url)
        assert (plan.present, result.accepted) == (there, len(OBJECTS) - there)
        assert len(seen.stored) == len(OBJECTS)


def test_a_plan_sends_nothing():
    with running() as (seen, url):
        with taxii.collection_of(taxii.Access(url=url), "mail") as (collection, _):
            taxii.planned(collection, OBJECTS)
        assert seen.posts == 0


def test_messages_stay_below_what_the_server_takes():
    with running(max_content_length=4_000) as (seen, url):
        _, result = pushed(url)
        assert result.accepted == len(OBJECTS)
        assert seen.posts > 3


def test_a_pending_status_is_waited_for():
    with running(pending_polls=2) as (seen, url):
        _, result = pushed(url)
        assert (result.accepted, result.pending) == (len(OBJECTS), 0)
        assert sum("/status/" in path for _, path, _ in seen.requests) == 2


def test_what_the_server_refuses_is_counted_and_said_in_visible_characters():
    with running(refuse_types=("report",)) as (_, url):
        _, result = pushed(url)
        assert (result.accepted, result.refused) == (len(OBJECTS) - 1, 1)
        assert [message.split(": ")[1] for message in result.messages] == ["refused\ufffd here"]


@pytest.mark.parametrize(
    ("auth", "access"),
    [
        (basic("anna", "s3cret"), {"user": "anna", "password": "s3cret"}),
        ("Token abc", {"token": "abc"}),
    ],
)
def test_credentials_are_sent_and_their_absence_is_an_error(auth, access):
    with running(auth=auth) as (_, url):
        assert pushed(url, access=taxii.Access(url=url, **access))[1].accepted == len(OBJECTS)
        with pytest.raises(InputError, match="401"):
            pushed(url)


def test_a_collection_without_reading_counts_everything_as_missing():
    with running(can_read=False) as (seen, url):
        plan, _ = pushed(url)
        assert (plan.is_readable, len(plan.objects)) == (False, len(OBJECTS))
        assert not any("manifest" in path for _, path, _ in seen.requests)
        with pytest.raises(UsageError, match="may be read"):
            pulled(url)


def test_a_collection_without_writing_is_refused_before_anything_is_sent():
    with running(can_write=False) as (seen, url):
        with pytest.raises(UsageError, match="written to"):
            pushed(url)
        assert seen.posts == 0


@pytest.mark.parametrize("name", [COLLECTION, "mail", "Mail intrusions"])
def test_a_collection_is_known_by_id_alias_or_title(name):
    with running() as (_, url), taxii.collection_of(taxii.Access(url=url), name) as (collection, _):
        assert collection.id == COLLECTION


def test_an_unknown_collection_is_an_error_that_names_those_there_are():
    with (
        running() as (_, url),
        pytest.raises(UsageError, match="Mail intrusions"),
        taxii.collection_of(taxii.Access(url=url), "other"),
    ):
        pass


def test_only_what_was_added_later_is_pulled():
    with running() as (_, url):
        pushed(url)
        after = dt.datetime(2024, 1, 1, 0, 0, 0, 9, tzinfo=dt.UTC)
        assert [each["id"] for each in pulled(url, added_after=after)] == [each["id"] for each in OBJECTS[10:]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody but its holder trusts, and its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    plain = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder


def test_a_certificate_that_is_named_is_trusted_and_no_other(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with running(tls=tls, auth="Token abc") as (seen, url):
        with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
            pushed(url, access=taxii.Access(url=url, token="abc"))
        assert seen.requests == []
        trusted = taxii.Access(url=url, token="abc", ca_file=str(certificate / "cert.pem"))
        assert pushed(url, access=trusted)[1].accepted == len(OBJECTS)


# ---------------------------------------------------------------- servers that are no friends


def test_pages_without_end_are_given_up():
    with running(page=3) as (seen, url):
        pushed(url)
        seen.never_ends = True
        with pytest.raises(InputError, match="pages that end"):
            pulled(url)


def test_an_answer_without_end_is_given_up(monkeypatch):
    """Packed it is small: what counts is what comes out."""
    monkeypatch.setattr(taxii, "ANSWER_BYTES", 100_000)
    packed = gzip.compress(b'{"title":"' + b"x" * 10_000_000 + b'"}')
    assert len(packed) < 20_000
    with (
        running(raw_answer=packed, encoding="gzip") as (_, url),
        pytest.raises(InputError, match="at most 100,000 bytes"),
        taxii.collection_of(taxii.Access(url=url), "mail"),
    ):
        pass


def test_an_answer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(taxii, "ANSWER_S", -1)
    with (
        running() as (_, url),
        pytest.raises(InputError, match="within -1 seconds"),
        taxii.collection_of(taxii.Access(url=url), "mail"),
    ):
        pass


def test_credentials_never_go_to_another_host():
    with running(api_root="http://192.0.2.1/api/", auth="Token abc") as (_, url):
        access = taxii.Access(url=url, token="abc")
        with pytest.raises(InputError, match="API roots on the server itself"), taxii.collection_of(access, "mail"):
            pass


def test_a_redirection_is_not_followed():
    with running() as (other, there), running(redirect_to=there) as (_, url):
        with pytest.raises(InputError), taxii.collection_of(taxii.Access(url=url, token="abc"), "mail"):
            pass
        assert other.requests == []


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b"null", b"not json", b'{"title": 1, "api_roots": 7}', b'{"api_roots": [null]}']
)
def test_an_answer_that_is_no_taxii_is_an_input_error(answer):
    with (
        running(raw_answer=answer) as (_, url),
        pytest.raises((InputError, UsageError)),
        taxii.collection_of(taxii.Access(url=url), "mail"),
    ):
        pass


@pytest.mark.parametrize(
    "url", ["http://taxii.example/taxii2/", "ftp://127.0.0.1/", "taxii.example", "http://127.0.0.1.example/"]
)
def test_an_address_that_would_show_the_password_is_refused(url):
    with pytest.raises(UsageError, match="https"), taxii.collection_of(taxii.Access(url=url), "mail"):
        pass


def test_a_server_that_is_not_there_is_an_input_error():
    access = taxii.Access(url="http://127.0.0.1:9/taxii2/")
    with pytest.raises(InputError, match="Connection refused"), taxii.collection_of(access, "mail"):
        pass


# ---------------------------------------------------------------- the plan is pure


@given(
    present=st.sets(st.integers(0, len(OBJECTS) - 1)),
    older=st.sets(st.integers(0, len(OBJECTS) - 1)),
)
def test_a_plan_names_what_is_not_there_in_this_version(present, older):
    def entry(place, version):
        return {"id": OBJECTS[place]["id"], "version": version}

    manifest = [entry(place, OBJECTS[place].get("modified", "2024-01-01T00:00:00Z")) for place in present]
    manifest += [entry(place, "2001-01-01T00:00:00.000Z") for place in older]
    plan = taxii.plan_push(OBJECTS, manifest, collection_id="c", title="t")
    unversioned = {place for place, each in enumerate(OBJECTS) if "modified" not in each}
    expected = [
        each["id"]
        for place, each in enumerate(OBJECTS)
        if place not in present and not (place in older and place in unversioned)
    ]
    assert [each["id"] for each in plan.objects] == expected
    assert plan.present == len(OBJECTS) - len(expected)


def test_a_version_is_the_same_however_many_noughts_a_server_writes():
    each = next(one for one in OBJECTS if one["type"] == "indicator")
    for version in (each["modified"].removesuffix("000Z") + "000000Z", each["modified"].replace(".000Z", "Z")):
        assert (
            taxii.plan_push([each], [{"id": each["id"], "version": version}], collection_id="c", title="t").objects
            == ()
        )


@given(limit=st.integers(1, 20_000))
def test_envelopes_hold_everything_once_in_order_and_stay_small(limit):
    batches = list(taxii.envelopes(OBJECTS, limit))
    assert [each["id"] for batch in batches for each in batch] == [each["id"] for each in OBJECTS]
    assert all(len(batch) == 1 or len(msgspec.json.encode({"objects": batch})) <= limit for batch in batches)
