"""Who takes part: two customers of a managed service provider, in Entra and in BMS.

The people are chosen so that each of them meets another rule: one is in BMS already, one is there
but inactive, one is known there by his second address, one shares an address with somebody else,
one has no surname, one is a guest, one is blocked. `first_cards` is what BMS must hold after the
first sync.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from infra.local.bms.control import BmsControl
from infra.local.bms.control_values import ContactState, NewAddress
from infra.local.demo_check import Card, Expected
from infra.local.entra.control import EntraControl

OPTICS, WORKSHOP = "Contoso Optics", "Contoso Workshop"
BAKERY, HOLDING = "Fabrikam Bakeries", "Fabrikam Holding"
KITCHEN = "Harbour kitchen"

ACCOUNTS: dict[str, tuple[str, ...]] = {
    OPTICS: ("Main",),
    WORKSHOP: ("Main",),
    BAKERY: ("Main", KITCHEN),
    HOLDING: ("Main",),
}


@dataclass(frozen=True)
class Tenant:
    """A customer's tenant, its groups by name, its people by a short name."""

    domain: str
    id: str
    administrator: str
    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def _user(first: str, last: str, mail: str, title: str, **more: Any) -> dict[str, Any]:
    return {
        "displayName": f"{first} {last}",
        "givenName": first,
        "surname": last,
        "mail": mail,
        "jobTitle": title,
        **more,
    }


_CONTOSO = "contoso.example"
_FABRIKAM = "fabrikam.example"

CONTOSO_PEOPLE: dict[str, dict[str, Any]] = {
    "ada": _user(
        "Ada",
        "Lindqvist",
        f"Ada.Lindqvist@{_CONTOSO}",
        "Optician",
        businessPhones=["+49 30 5550101"],
        mobilePhone="+49 170 5550101",
    ),
    "bruno": _user(
        "Bruno", "Keller", f"bruno.keller@{_CONTOSO}", "Driver", businessPhones=["+49 30 5550199"]
    ),
    "dmitri": _user("Dmitri", "Volkov", f"dmitri.volkov@{_CONTOSO}", "Buyer"),
    "zoe": _user("Zoë", "Færber", f"zoe.faerber@{_CONTOSO}", "Bookkeeper"),
    "thordis": _user("Þórdís", "Jónsdóttir", f"thordis.jonsdottir@{_CONTOSO}", "Lens grinder"),
    "lukasz": _user("Łukasz", "Żółciński", f"lukasz.zolcinski@{_CONTOSO}", "Fitter"),
    "siobhan": _user("Siobhán", "O'Brien", f"siobhan.o'brien@{_CONTOSO}", "Shop manager"),
    "hong": _user("Thị Hồng", "Nguyễn", f"hong.nguyen@{_CONTOSO}", "Apprentice"),
    "hanako": _user("花子", "佐藤", f"hanako.sato@{_CONTOSO}", "Night porter"),
    "olu": _user("Olú", "Adébáyọ̀", f"olu.adebayo@{_CONTOSO}", "Night porter"),
    "bjork": {"displayName": "Björk", "mail": f"bjork@{_CONTOSO}", "jobTitle": "Window dresser"},
    "front": _user("Front", "Desk", f"reception@{_CONTOSO}", "Reception"),
    "milan": _user("Milan", "Horváth", "milan@elsewhere.example", "Auditor", userType="Guest"),
    "pavel": _user("Pavel", "Novák", f"pavel.novak@{_CONTOSO}", "Cutter", accountEnabled=False),
}
NIGHT_SHIFT = ("hanako", "olu")

FABRIKAM_PEOPLE: dict[str, dict[str, Any]] = {
    "hana": _user("Hana", "Kovářová", f"hana.kovarova@{_FABRIKAM}", "Head of sales"),
    "tomas": _user("Tomás", "Ó Súilleabháin", f"tomas@{_FABRIKAM}", "Baker"),
    "odysseas": _user("Οδυσσέας", "Παπαδόπουλος", f"odysseas@{_FABRIKAM}", "Pastry cook"),
    "ingrid": _user("Ingrid", "Bjørnsen", f"ingrid.bjornsen@{_FABRIKAM}", "Cook"),
    "yusuf": _user("Yusuf", "Çelik", f"yusuf.celik@{_FABRIKAM}", "Cook"),
    # No mailbox: the user principal name is the address (R7).
    "noor": _user("Noor", "Haddad", "", "Cleaner"),
}
KITCHEN_CREW = ("ingrid", "yusuf")


def make_contoso(entra: EntraControl) -> Tenant:
    """Contoso: one big group with another one nested in it, and the workshop's."""
    tenant = _tenant(entra, _CONTOSO, "Contoso", "Amélie Laurent", CONTOSO_PEOPLE)
    ids = tenant.users
    night = entra.add_group(tenant.id, "Night shift", members=[ids[key] for key in NIGHT_SHIFT])
    staff = [ids[key] for key in CONTOSO_PEOPLE if key not in NIGHT_SHIFT]
    tenant.groups["night"] = night
    tenant.groups["staff"] = entra.add_group(tenant.id, "Optics staff", members=[*staff, night])
    tenant.groups["workshop"] = entra.add_group(tenant.id, "Workshop crew", kind="m365")
    return tenant


def make_fabrikam(entra: EntraControl) -> Tenant:
    """Fabrikam: everybody, and before them the crew of the kitchen, which has its own location."""
    tenant = _tenant(entra, _FABRIKAM, "Fabrikam", "Ruth Goldberg", FABRIKAM_PEOPLE)
    ids = tenant.users
    others = [ids[key] for key in FABRIKAM_PEOPLE if key not in KITCHEN_CREW]
    crew = [ids[key] for key in KITCHEN_CREW]
    tenant.groups["bakery"] = entra.add_group(tenant.id, "Bakery people", members=others)
    tenant.groups["kitchen"] = entra.add_group(tenant.id, "Kitchen crew", members=crew)
    return tenant


def make_northwind(entra: EntraControl) -> Tenant:
    """The provider itself: its technicians become employees."""
    tenant = _tenant(entra, "northwind.example", "Northwind MSP", "Olga Marin", {})
    tenant.groups["technicians"] = entra.add_group(tenant.id, "Technicians", members=[])
    return tenant


def _tenant(
    entra: EntraControl,
    domain: str,
    name: str,
    administrator: str,
    people: dict[str, dict[str, Any]],
) -> Tenant:
    tenant_id = entra.add_tenant(domain, display_name=name)
    boss = entra.add_user(tenant_id, f"admin@{domain}", displayName=administrator)
    entra.set_administrator(tenant_id, boss)
    entra.sign_in_as(boss, tenant_id)
    tenant = Tenant(domain, tenant_id, administrator)
    for key, props in people.items():
        tenant.users[key] = add_person(entra, tenant, key, props)
    return tenant


def add_person(entra: EntraControl, tenant: Tenant, key: str, props: dict[str, Any]) -> str:
    """Make a user in Entra and return the id."""
    given = {name: value for name, value in props.items() if value != ""}
    upn = f"{key}@{tenant.domain}"
    if props.get("userType") == "Guest":
        mailbox = str(props["mail"]).replace("@", "_")
        upn = f"{mailbox}#EXT#@{tenant.domain}"
    return entra.add_user(tenant.id, upn, **given)


def fill_bms(bms: BmsControl, expected: Expected, account_ids: dict[str, int]) -> None:
    """Contacts that technicians typed in before: some match, some are nobody's business."""

    def typed(
        key: str,
        account: str,
        first: str,
        last: str,
        emails: tuple[str, ...],
        phone: str = "",
        **more: Any,
    ) -> ContactState:
        contact = bms.add_contact(
            account_ids[account],
            first,
            last,
            emails=[NewAddress(each) for each in emails],
            phones=[phone] if phone else [],
            **more,
        )
        expected.typed_in(key, contact)
        return contact

    at = _CONTOSO
    typed(
        "ada",
        OPTICS,
        "Ada",
        "Lindqvist",
        (f"ada.lindqvist@{at}",),
        "+49 30 5550101",
        poc=True,
        receive_invoices=True,
    )
    typed("bruno", OPTICS, "B.", "Keller", (f"bruno.keller@{at}",), "+49 30 55", is_active=False)
    typed("dmitri", OPTICS, "Dima", "Volkov", (f"d.volkov@{at}", f"dmitri.volkov@{at}"))
    typed("front 1", OPTICS, "Front", "Desk", (f"reception@{at}",))
    typed("front 2", OPTICS, "Carla", "Núñez", (f"reception@{at}",))
    typed("hana", HOLDING, "Hana", "Kovářová", (f"hana.kovarova@{_FABRIKAM}",))
    typed("landlord", HOLDING, "Élodie", "Marchand", ("elodie@landlord.example",))
    typed("former", OPTICS, "Wilhelm", "Groß", (f"w.gross@{at}",), is_active=False)


# Typed in by people and in no mapped group, or waiting for a person's choice.
UNTOUCHED = ("front 1", "front 2", "landlord", "former")


def first_cards(expected: Expected) -> None:
    """Write down what the first sync has to make of it all (R6–R14)."""
    cards = expected.cards
    at = _CONTOSO
    cards["ada"] = _new(
        OPTICS,
        "ada",
        emails=(f"ada.lindqvist@{at}",),
        work_phone="+49 30 5550101",
        mobile_phone="+49 170 5550101",
    )
    cards["bruno"] = _new(OPTICS, "bruno", work_phone="+49 30 5550199")
    cards["dmitri"] = _new(OPTICS, "dmitri", emails=(f"dmitri.volkov@{at}", f"d.volkov@{at}"))
    for key in ("zoe", "thordis", "lukasz", "siobhan", "hong", "hanako", "olu"):
        cards[key] = _new(OPTICS, key)
    cards["bjork"] = Card(OPTICS, "Björk", "-", (f"bjork@{at}",), "Window dresser")
    # Found in another account: merged, and it stays there (R6).
    cards["hana"] = _new(HOLDING, "hana")
    for key in ("tomas", "odysseas"):
        cards[key] = _new(BAKERY, key)
    for key in KITCHEN_CREW:
        cards[key] = _new(BAKERY, key, location=KITCHEN)
    cards["noor"] = _new(BAKERY, "noor", emails=(f"noor@{_FABRIKAM}",))


def _new(account: str, key: str, emails: tuple[str, ...] = (), **more: Any) -> Card:
    props = {**CONTOSO_PEOPLE, **FABRIKAM_PEOPLE}[key]
    return card_of(account, props, emails=emails, **more)


def card_of(account: str, props: dict[str, Any], emails: tuple[str, ...] = (), **more: Any) -> Card:
    """The card of a user whose values BMS takes over as they are."""
    return Card(
        account,
        str(props["givenName"]),
        str(props["surname"]),
        emails or (str(props["mail"]),),
        str(props["jobTitle"]),
        **more,
    )
