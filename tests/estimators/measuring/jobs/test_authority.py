"""Who may start a measurement."""

from __future__ import annotations

import pytest

from estimators.measuring.jobs.authority import Guesses, NotAuthorised, authorise, profiling_enabled

TOKEN = "correct-horse-battery"
ON = {"RIGHTSIZE_PROFILING": "1", "RIGHTSIZE_PROFILING_TOKEN": TOKEN}
PEOPLE = ON | {"RIGHTSIZE_PROFILING_PEOPLE": "ann@example.com, @ops.example.com"}


def test_the_holder_of_the_token_may() -> None:
    authorise(token=TOKEN, environment=ON)


@pytest.mark.parametrize("switch", [{}, {"RIGHTSIZE_PROFILING": "0"}, {"RIGHTSIZE_PROFILING": "true"}])
def test_nobody_may_until_it_is_switched_on(switch: dict[str, str]) -> None:
    environment = {"RIGHTSIZE_PROFILING_TOKEN": TOKEN} | switch
    assert not profiling_enabled(environment)
    with pytest.raises(NotAuthorised, match="switched off"):
        authorise(token=TOKEN, environment=environment)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "ключ-пароль-слово"])
def test_no_other_token_does(token: str) -> None:
    with pytest.raises(NotAuthorised, match="not the profiling token"):
        authorise(token=token, environment=ON)


@pytest.mark.parametrize("configured", ["", "short"])
def test_an_empty_or_short_token_lets_nobody_in(configured: str) -> None:
    with pytest.raises(NotAuthorised, match="nobody can be recognised"):
        authorise(token=configured, environment=ON | {"RIGHTSIZE_PROFILING_TOKEN": configured})


@pytest.mark.parametrize("email", ["ann@example.com", "Ann@Example.com", "bob@ops.example.com"])
def test_a_signed_in_person_who_is_named_may(email: str) -> None:
    authorise(oidc=True, claims={"email": email, "email_verified": True}, environment=PEOPLE)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "eve@example.com", "email_verified": True},
        {"email": "ann@example.com", "email_verified": False},
        {"email": "ann@example.com"},
        {"email": "ann@example.com", "email_verified": None},
        {"email": "ann@example.com", "email_verified": "false"},
        {"email": "ann@example.com", "email_verified": 2},
        {"email": "ann@example.com@evil.net", "email_verified": True},
        {"email": "bob@sub.ops.example.com", "email_verified": True},
        {"email": ["ann@example.com"], "email_verified": True},
        {"email_verified": True},
        {},
    ],
)
def test_a_signed_in_person_who_is_not_may_not(claims: dict[str, object]) -> None:
    with pytest.raises(NotAuthorised, match="not among those"):
        authorise(oidc=True, claims=claims, environment=PEOPLE)


def test_of_a_provider_that_never_says_so_the_operator_can_take_addresses_unverified() -> None:
    lenient = PEOPLE | {"RIGHTSIZE_PROFILING_UNVERIFIED": "1"}
    authorise(oidc=True, claims={"email": "ann@example.com"}, environment=lenient)
    for claims in ({"email": "ann@example.com", "email_verified": False}, {"email": "eve@example.com"}):
        with pytest.raises(NotAuthorised, match="not among those"):
            authorise(oidc=True, claims=claims, environment=lenient)


def test_where_people_sign_in_no_token_does() -> None:
    with pytest.raises(NotAuthorised, match="signed-in"):
        authorise(token=TOKEN, oidc=True, environment=PEOPLE)


def test_signing_in_is_not_enough_when_nobody_is_named() -> None:
    with pytest.raises(NotAuthorised):
        authorise(oidc=True, claims={"email": "ann@example.com"}, environment=ON)


def test_guesses_are_limited_for_all_together_and_forgotten_after_a_minute() -> None:
    now = [0.0]
    guesses = Guesses(clock=lambda: now[0])

    def guess(token: str) -> str:
        try:
            authorise(token=token, environment=ON, guesses=guesses)
        except NotAuthorised as refused:
            return refused.message
        return "in"

    assert {guess("one wrong token, its page drawn often") for _ in range(100)} == {"That is not the profiling token."}
    assert guess(TOKEN) == "in"
    said = [guess(f"guess {number}") for number in range(100)]
    assert said.count("That is not the profiling token.") == 19
    assert said.count("Too many wrong tokens were tried.") == 81
    assert guess(TOKEN) == "Too many wrong tokens were tried."  # or the limit would limit nothing
    now[0] = 61.0
    assert guess(TOKEN) == "in"
