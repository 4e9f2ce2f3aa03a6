"""The description of the admin API against the app itself: made-up calls, and nothing undescribed.

schemathesis makes the calls from the description alone: fitting ones and wrong ones. Half of the
ids are ones that mean something, so that calls get beyond "there is no such thing".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from infra.local.world import World
from shared.web.api.openapi import describe
from tests.stories.described_customer import DescribedCustomer
from tests.stories.story import Story
from tests.web.world import a_ready_world

pytestmark = pytest.mark.world

AnyCase = Case[Any]
NEVER = "0 0 0 1 1 *"
EXAMPLES = 6
MOST = 25  # of the calls that go through every member of an operation, one wrong at a time
LONGEST_ADDRESS = 8000  # no HTTP server takes longer ones
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
]
DESCRIPTION = describe(a_ready_world().api.routes)
API = schemathesis.openapi.from_dict(
    DESCRIPTION,
    config=schemathesis.Config.from_dict(
        {
            "seed": 20,
            "generation": {
                "deterministic": True,
                "max-examples": EXAMPLES,
                "database": "none",
                "with-security-parameters": False,
            },
            # The host itself answers methods that no function has.
            "phases": {
                "coverage": {"unexpected-methods": ["GET", "POST", "PUT", "PATCH", "DELETE"]}
            },
        }
    ),
)


@dataclass
class Described:
    """The app with a customer in it."""

    customer: DescribedCustomer
    session: requests.Session
    of: str = ""
    bodies: int = 0
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where the app is."""
        return self.customer.story.host.base_url

    def call(self, case: AnyCase) -> int:
        """One made-up call; AssertionError where the reply is not as described."""
        case.headers.clear()  # none is described; odd ones are the HTTP server's business
        self._mean_something(case)
        of_the_app = case.operation.path.startswith("/api/")  # the host itself answers elsewhere
        response = case.call(base_url=self.base_url, session=self.session, timeout=60)
        if len(str(response.request.url)) < LONGEST_ADDRESS:
            checks = [each for each in CHECKS if of_the_app or each is not unsupported_method]
            case.validate_response(response, checks=checks, headers=dict(self.session.headers))
        return int(response.status_code)

    def _mean_something(self, case: AnyCase) -> None:
        """Put ids that exist into every other call."""
        components = case.meta.components if case.meta else {}
        info = components.get(ParameterLocation.PATH)
        if info and info.mode is GenerationMode.NEGATIVE:
            return
        known = self._known(case.operation.label)
        for name, made_up in dict(case.path_parameters or {}).items():
            ids = known.get(name)
            chosen = sum(str(made_up).encode())
            if ids and chosen % 5 != 1:
                case.path_parameters[name] = ids[chosen % len(ids)]
        self._fit(case)

    def _fit(self, case: AnyCase) -> None:
        """Give every other fitting body the members without which it cannot be taken."""
        info = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
        if info is None or info.mode is GenerationMode.NEGATIVE or not isinstance(case.body, dict):
            return
        self.bodies += 1
        if self.bodies % 3:
            case.body = {**case.body, **self.customer.fitting(case.operation.label, self.bodies)}

    def _known(self, operation: str) -> dict[str, list[str]]:
        """Ids that exist when the calls of this operation begin."""
        if self.of != operation:
            self.of, self.ids = operation, self.customer.known()
            if operation.split()[0] in ("DELETE", "PATCH") or operation.endswith("/pause"):
                self.ids["connectionId"] = self.customer.drafts
            if operation.endswith("/outcome"):
                self.ids["syncId"] = [self.customer.undo]
        return self.ids


@pytest.fixture(scope="module")
def described() -> Iterator[Described]:
    """No timer runs: what the calls meet changes by the calls alone."""
    with World() as world, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {world.admin_token}"
        yield Described(DescribedCustomer(Story(world, world.start_host())), session)


def test_the_app_serves_the_description_that_its_routes_make(described: Described) -> None:
    served = described.session.get(f"{described.base_url}/api/openapi.json", timeout=30)

    assert served.json() == DESCRIPTION


# Made-up calls before these may have decided, replayed or closed all that there was.
USED_UP = {
    "POST /api/failures/{failureId}/replay",
    "POST /api/holds/{holdId}/approve",
    "POST /api/holds/{holdId}/refuse",
    "POST /api/worklist/{itemId}/dismiss",
    "POST /api/worklist/{itemId}/done",
}
LABELS = [
    f"{method.upper()} {path}" for path, item in DESCRIPTION["paths"].items() for method in item
]
COVERED: Counter[str] = Counter()
STATUSES: dict[str, set[int]] = {}


def _made_up_calls(label: str) -> Callable[..., None]:
    """The test of one operation.

    Schemathesis gives all operations of one test function the same node id, of which pytest-xdist
    runs only one; so each operation has a function.
    """

    @API.include(name=label).parametrize()
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def every_reply_is_described(case: AnyCase, described: Described) -> None:
        if case.meta and case.meta.phase.name is TestPhase.COVERAGE:
            COVERED[label] += 1
            if COVERED[label] > MOST:
                return  # a body of many shapes has hundreds of them
        STATUSES.setdefault(label, set()).add(described.call(case))

    test: Callable[..., None] = every_reply_is_described
    return test


for _label in LABELS:
    _name = re.sub(r"[^A-Za-z0-9]+", "_", _label).strip("_")
    globals()[f"test_every_reply_to_made_up_calls_is_described_{_name}"] = _made_up_calls(_label)


def test_made_up_calls_of_every_operation_got_to_its_success() -> None:
    assert set(STATUSES) == set(LABELS), "this test looks at what the whole file has called"

    missed = {label for label, seen in STATUSES.items() if not any(one < 300 for one in seen)}
    assert missed - USED_UP == set()
