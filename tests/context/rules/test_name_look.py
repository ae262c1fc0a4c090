"""Generated names are told from chosen ones by their letters."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from beacon_detect.context.rules.name_look import RULE, looks_random, registered_label

CHOSEN = (
    "googleusercontent msftconnecttest windowsupdate cloudfront letsencrypt stackoverflow"
    " volkswagen sueddeutsche trafficmanager scorecardresearch pythonhosted doubleclick"
    " vkontakte archlinux kaspersky office365 mercadolibre washingtonpost"
)


@pytest.mark.parametrize("label", CHOSEN.split())
def test_chosen_names_do_not_look_random(label: str) -> None:
    assert not looks_random(label)


@pytest.mark.parametrize("alphabet", [string.ascii_lowercase, string.hexdigits[:16]])
def test_most_generated_names_look_random(alphabet: str) -> None:
    rng = random.Random(3)
    names = ["".join(rng.choices(alphabet, k=14)) for _ in range(300)]

    assert sum(map(looks_random, names)) >= 0.85 * len(names)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("www.example.com", "example"),
        ("example.co.uk", "example"),
        ("a.b.example.org.", "example"),
        ("localhost", ""),
        ("", ""),
        ("..", ""),
        ("co.uk", "co"),
    ],
)
def test_the_label_that_somebody_registered(name: str, label: str) -> None:
    assert registered_label(name) == label


def test_a_random_name_is_raised_and_machine_made_labels_below_a_name_are_not(facts: Any) -> None:
    assert RULE(facts(name="qxzvkjwpbtgh.com")) is not None
    assert RULE(facts(name="d3kx9qzvw1bt7.cloudfront.net")) is None


def test_a_bare_address_is_neutral(facts: Any) -> None:
    assert RULE(facts()) is None
    assert RULE(facts(name="xn--80ak6aa92e.com")) is None
