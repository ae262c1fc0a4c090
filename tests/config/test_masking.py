"""A shown configuration holds no secret and nothing but the secrets is hidden."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config.masking import MASK, masked
from beacon_detect.config.schema import Config

TOKENS = st.text(st.characters(categories=["L", "N"]), min_size=9, max_size=30)


@given(TOKENS, TOKENS)
def test_no_secret_is_left_and_everything_else_is(token: str, header: str) -> None:
    webhook = {"url": f"https://example.org/{token}", "headers": {"X-Key": header}}
    config = Config.model_validate({"alerting": {"webhook": webhook}})
    shown = masked(config)
    expected = config.model_dump(mode="json")
    expected["alerting"]["webhook"] |= {"url": MASK, "headers": {"X-Key": MASK}}

    assert shown == expected


def test_an_empty_secret_is_shown_as_empty() -> None:
    webhook = masked(Config())["alerting"]["webhook"]

    assert (webhook["url"], webhook["headers"]) == ("", {})
