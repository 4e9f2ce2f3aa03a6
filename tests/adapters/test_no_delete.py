"""R16: nothing is ever deleted in BMS or IT Glue; shown at the wire and by what can be written.

Three claims that hold together: a client for BMS refuses the method before a byte leaves, whatever
it is given (test_http.py); no client of these services is made with more methods; and a process
that does everything the BMS adapter can do has sent no DELETE and no PUT (conftest.py, after each
wire test of BMS).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import bms_v1
from shared.adapters.http import NO_DELETE, HttpClient
from shared.adapters.http_session import PooledSession
from shared.errors import Misconfigured

ADAPTERS = sorted((Path(__file__).parents[2] / "shared" / "adapters").glob("*.py"))
# Graph's subscriptions are the only thing that the app deletes outside (R31).
# Graph's subscriptions, and rows of the app's own tables, through the tables client's pipeline.
MAY_DELETE = {"graph.py", "graph_subscriptions.py", "http.py", "table_requests.py"}
# BMS's older API changes an employee by PUT, where a person has switched that on (R26).
MAY_PUT = {"bms_v1.py"}


class Unused(PooledSession):
    """A session that nothing may be sent through."""

    def send(self, *args: object, **more: object) -> object:  # type: ignore[override]
        raise AssertionError("something was sent")


def test_the_methods_for_bms_hold_neither_delete_nor_put() -> None:
    assert {"GET", "POST", "PATCH"} == NO_DELETE


@given(
    method=st.one_of(
        st.sampled_from(["DELETE", "delete", "Delete", " DELETE", "DELETE ", "PUT", "put", ""]),
        st.text(max_size=10),
    ).filter(lambda method: method not in NO_DELETE)
)
def test_a_client_for_bms_sends_no_other_method_however_it_is_written_r16(method: str) -> None:
    client = HttpClient(Unused(), "BMS", ["https://api.bms.kaseya.com"])

    with pytest.raises(Misconfigured):
        client.request(method, "https://api.bms.kaseya.com/v2/crm/contacts/1")


@pytest.mark.parametrize(
    "path", [one for one in ADAPTERS if one.name not in MAY_DELETE], ids=lambda path: path.name
)
def test_no_other_adapter_even_names_the_method_r16(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not words & ({"DELETE"} if path.name in MAY_PUT else {"DELETE", "PUT"})
    # And nobody goes around HttpClient with a method of the session's own.
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & {"urlopen", "HTTPConnection", "HTTPSConnection"}


def test_requests_to_the_tables_know_no_way_to_anywhere_else_r16() -> None:
    [path] = [one for one in ADAPTERS if one.name == "table_requests.py"]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in [getattr(node, "module", None) or "", *(each.name for each in node.names)]
    }
    assert not imported & {"requests", "HttpClient", "shared.adapters.http", "urllib.request"}
    assert not any(name.startswith(("requests.", "urllib3", "http.client")) for name in imported)


def clients(path: Path) -> list[ast.Call]:
    """Where the file makes a client."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    return [
        node
        for node in calls
        if "HttpClient" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
    ]


def test_these_adapters_make_clients_and_no_others() -> None:
    assert {path.name: len(clients(path)) for path in ADAPTERS if clients(path)} == {
        "bms_session.py": 1,
        "bms_v1.py": 1,
        "graph.py": 1,
        "itglue_session.py": 1,
        "signin_msal.py": 2,
    }


@pytest.mark.parametrize(
    "path", [one for one in ADAPTERS if clients(one)], ids=lambda path: path.name
)
def test_every_client_but_graphs_is_made_without_delete_r16(path: Path) -> None:
    for node in clients(path):
        given_methods = [*node.args[3:4], *(k.value for k in node.keywords if k.arg == "methods")]
        words = {
            found.value if isinstance(found, ast.Constant) else getattr(found, "id", "")
            for methods in given_methods
            for found in ast.walk(methods)
            if isinstance(found, ast.Constant | ast.Name)
        }
        allowed = {"NO_DELETE", "frozenset", *NO_DELETE}
        named = allowed | {"_METHODS"}
        assert words <= (named if path.name in {"graph.py", *MAY_PUT} else allowed)


def test_the_older_api_is_called_without_delete_r16() -> None:
    assert frozenset({"GET", "POST", "PUT"}) == bms_v1._METHODS
