"""The BMS stand-in as a process: ports, TLS, its end, speed, and what a person does by hand."""

from __future__ import annotations

import datetime
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.bms.control import ControlRefused
from infra.local.bms.control_values import NewAddress
from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import Wire


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def running(certificate: tuple[Path, Path]) -> Iterator[BmsProcess]:
    cert, key = certificate
    with start_bms("--tls-port", "0", "--cert", str(cert), "--key", str(key)) as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


def test_both_ports_serve_the_same_tenant(
    wire: Wire, running: BmsProcess, certificate: tuple[Path, Path]
) -> None:
    reply = requests.get(
        f"https://localhost:{running.tls_port}/v2/hr/assignees/count",
        headers={"Authorization": str(wire.session.headers["Authorization"])},
        verify=str(certificate[0]),
        timeout=5,
    )

    assert reply.json()["result"] == 2


def test_the_tls_port_has_no_control_routes(
    wire: Wire, running: BmsProcess, certificate: tuple[Path, Path]
) -> None:
    url = f"https://localhost:{running.tls_port}/_control/state"

    assert requests.get(url, verify=str(certificate[0]), timeout=5).status_code == 404
    assert requests.get(f"{wire.url}/_control/state", timeout=5).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_a_second_even_with_a_request_hanging(how: signal.Signals) -> None:
    with start_bms() as process:
        process.control.add_fault("hang", "*")
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{process.url}/v2/security/authenticate", data={"GrantType": "x"}, timeout=0.1
            )
        begun = time.monotonic()
        process.process.send_signal(how)

        assert process.process.wait(timeout=5) == 0
        assert time.monotonic() - begun < 1.5


def test_a_tls_port_without_a_certificate_is_refused() -> None:
    command = [sys.executable, "-m", "infra.local.bms", "--tls-port", "0"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 2
    assert "--cert" in done.stderr
    assert done.stdout == ""


def test_a_reset_brings_a_fresh_tenant(wire: Wire) -> None:
    wire.control.seed_demo()
    wire.control.set_switches(phone_required=True)
    wire.control.add_fault("error")

    wire.control.reset()

    assert wire.control.state()["contacts"] == 0
    assert wire.control.accounts() == []
    assert wire.control.switches()["phone_required"] is False
    assert wire.control.faults() == []


def test_the_demo_holds_every_awkward_case(wire: Wire) -> None:
    seeded = wire.control.seed_demo()
    accounts = {each.name: each for each in wire.control.accounts()}
    contacts = {name: wire.control.get_contact(n) for name, n in seeded["contacts"].items()}

    for name in ("Contoso", "Fabrikam"):
        assert "Main" in [each.name for each in accounts[name].locations]
    assert not any(each.is_main for each in accounts["Without Main Location"].locations)
    assert not contacts["inactive"].is_active
    assert contacts["inactive"].default_email == "bruno.keller@contoso.example"
    assert contacts["shared_email_1"].default_email == contacts["shared_email_2"].default_email
    second = contacts["second_email"].emails[1]
    assert (second.value, second.is_default) == ("dmitri.volkov@contoso.example", False)
    assert contacts["without_phone"].phones == ()
    assert contacts["without_location"].location_id is None


def test_a_person_edits_a_contact_past_all_rules(wire: Wire) -> None:
    account = wire.customer()
    contact = wire.control.add_contact(account.id, "Ada", "Lind", ["a@x.example"], ["1"])

    edited = wire.control.edit_contact(
        contact.id,
        first_name="Adele",
        emails=["a@x.example", NewAddress("b@x.example", "Personal")],
        phones=[],
        location_id=None,
    )

    assert edited.emails[0] == contact.emails[0]
    assert [each.type_id for each in edited.emails] == [11, 12]
    row = wire.get(f"/v2/crm/contacts/summary/{contact.id}")
    assert (row["firstname"], row["locationid"], row["phones"]) == ("Adele", None, [])
    assert row["modifiedby"] != 901


def test_a_person_removes_a_contact_without_an_api_call(wire: Wire) -> None:
    contact = wire.control.add_contact(wire.customer().id)

    wire.control.remove_contact(contact.id)

    assert wire.control.find_contact(contact.id) is None
    assert wire.call("GET", f"/v2/crm/contacts/summary/{contact.id}").status == 404
    assert "DELETE /v2/crm/contacts/{Id}" not in wire.control.counters().calls


def test_a_wrong_member_of_a_contact_is_refused_by_name(wire: Wire) -> None:
    with pytest.raises(ControlRefused, match="nickname"):
        wire.control.add_contact(wire.customer().id, nickname="A")


def test_the_version_grows_with_every_change_and_no_read(wire: Wire) -> None:
    account = wire.customer()
    before = wire.control.state()["version"]
    wire.get("/v2/crm/contacts/summary")
    assert wire.control.state()["version"] == before

    wire.create(account)

    assert wire.control.state()["version"] == before + 1


def test_generated_contacts_are_spread_and_numbered(wire: Wire) -> None:
    accounts = wire.control.generate(
        10, accounts=2, email="p{n}@c{account}.example", phone="+{n}", inactive_every=5, start=11
    )

    first = wire.control.contacts(accounts[0])
    assert [each.default_email for each in first][:2] == ["p11@c0.example", "p13@c0.example"]
    assert len(first) == 5
    assert wire.control.state()["active_contacts"] == 8
    assert len(wire.control.contacts(is_active=False)) == 2


def test_state_read_by_control_is_what_the_api_shows(wire: Wire) -> None:
    wire.control.seed_demo()

    for state in wire.control.contacts():
        row = wire.get(f"/v2/crm/contacts/summary/{state.id}")
        assert (row["firstname"], row["lastname"]) == (state.first_name, state.last_name)
        assert [e["emailaddress"] for e in row["emails"]] == [e.value for e in state.emails]
        assert [p["id"] for p in row["phones"]] == [p.id for p in state.phones]


def test_twenty_thousand_contacts_are_listed_in_seconds(wire: Wire) -> None:
    (account,) = wire.control.generate(20_000, phone="+{n}")
    begun = time.monotonic()

    rows = 0
    for number in range(1, 202):
        reply = wire.session.get(
            f"{wire.url}/v2/crm/contacts/summary",
            params={
                "Filter.AccountId": str(account),
                "Filter.IsActive": "true",
                "PageSize": "100",
                "PageNumber": str(number),
            },
            timeout=10,
        )
        rows += reply.content.count(b'"isPoc"')

    assert rows == 20_000
    assert time.monotonic() - begun < 20
