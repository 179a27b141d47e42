"""Who may do what: one table, and a refusal that says who, what and to which thing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lineal.core import access
from lineal.core.access import ALLOWED, Action, Actor, Role
from lineal.errors import Denied, NotFound

STRENGTH = [Role.NONE, Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER]


def test_every_role_has_its_line_in_the_table() -> None:
    assert set(ALLOWED) == set(Role) == set(STRENGTH)


def test_a_stronger_role_may_all_that_a_weaker_one_may() -> None:
    for weaker, stronger in pairwise(STRENGTH):
        assert ALLOWED[weaker] <= ALLOWED[stronger]


def test_who_may_do_anything_may_read() -> None:
    assert all(Action.READ in allowed for allowed in ALLOWED.values() if allowed)


def test_the_owner_may_everything_and_a_stranger_nothing() -> None:
    assert all(access.may(Actor("ana", Role.OWNER), action) for action in Action)
    assert not any(access.may(Actor("eve"), action) for action in Action)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", list(Action))
def test_require_lets_pass_exactly_what_may_allows(role: Role, action: Action) -> None:
    actor = Actor("ana", role)
    if access.may(actor, action):
        access.require(actor, action, "acme/vision")
    else:
        with pytest.raises((Denied, NotFound)):
            access.require(actor, action, "acme/vision")


def test_a_reader_is_told_who_may_not_do_what_to_which_thing() -> None:
    with pytest.raises(Denied) as raised:
        access.require(Actor("ana", Role.VIEWER), Action.WRITE, "acme/vision")
    for word in ("ana", "viewer", "write", "acme/vision"):
        assert word in str(raised.value)


@pytest.mark.parametrize("action", list(Action))
def test_to_an_outsider_the_thing_does_not_exist(action: Action) -> None:
    with pytest.raises(NotFound, match=r"No acme/vision \(you are eve\)"):
        access.require(Actor("eve"), action, "acme/vision")
