"""Findings are stored as they are, replaced as a whole, and there after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alert_factory import finding
from beacon_detect.context import Adjustment
from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.storage import finding_store, schema_findings
from beacon_detect.control_plane.storage.schema import SCHEMA_VERSION
from beacon_detect.control_plane.storage.store import Store


def open_store(folder: Path) -> Store:
    return Store.open(folder, memory_limit_mb=128, on_commit=lambda _batches: None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def save(store: Store, *findings: Finding) -> None:
    store.transact(lambda connection: finding_store.save(connection, findings)).result()


def test_what_is_saved_is_loaded_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    one = replace(finding(), id="a" * 16, pair_id=2**64 - 1)
    two = replace(finding(), id="b" * 16, series="bursts", name="ünïcode 'quoted'")
    save(store, one, two)
    store.close()

    store = open_store(tmp_path)
    loaded = {found.id: found for found in finding_store.load(store)}
    store.close()

    assert loaded == {one.id: one, two.id: two}


@hypothesis_settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=6))
def test_the_last_save_of_an_id_holds(store: Store, saves: list[tuple[str, float]]) -> None:
    forget_all(store)
    expected: dict[str, Finding] = {}
    for letter, score in saves:
        expected[letter * 16] = replace(finding(), id=letter * 16, score=score)
        save(store, expected[letter * 16])

    assert {found.id: found for found in finding_store.load(store)} == expected


def forget_all(store: Store) -> None:
    ids = [found.id for found in finding_store.load(store)]
    store.transact(lambda connection: finding_store.delete(connection, ids)).result()


def test_a_failed_transaction_saves_nothing(store: Store) -> None:
    def work(connection: object) -> None:
        finding_store.save(connection, [finding()])  # type: ignore[arg-type]
        raise ValueError("the alerts could not be saved")

    with pytest.raises(ValueError, match="could not be saved"):
        store.transact(work).result()

    assert finding_store.load(store) == []


def test_nothing_to_save_or_delete_is_no_fault(store: Store) -> None:
    save(store)
    store.transact(lambda connection: finding_store.delete(connection, [])).result()

    assert finding_store.load(store) == []


def test_reasons_are_there_after_a_restart(store: Store) -> None:
    reasons = (Adjustment("prevalence", -0.3, "all do"), Adjustment("name_look", 0.15, "ünlike"))
    save(store, finding(risk=0.7, reasons=reasons))

    [loaded] = finding_store.load(store)

    assert (loaded.risk, loaded.reasons) == (0.7, reasons)


def test_findings_of_the_first_version_get_their_score_as_risk(tmp_path: Path) -> None:
    old = finding("HIGH")
    store = open_store(tmp_path)
    save(store, old)
    later = list(schema_findings.ADDED)

    def as_it_was(connection: Any) -> None:
        for name in later:
            connection.execute(f"ALTER TABLE finding DROP COLUMN {name}")
        connection.execute("UPDATE schema_version SET version = 1")

    store.transact(as_it_was).result()
    store.close()

    store = open_store(tmp_path)
    [loaded] = finding_store.load(store)
    version = store.query("SELECT max(version) AS version FROM schema_version").to_pylist()
    save(store, replace(loaded, risk=0.1))
    [saved] = finding_store.load(store)
    store.close()

    assert (loaded.id, loaded.score, loaded.risk, loaded.reasons) == (old.id, old.score, old.score, ())  # fmt: skip
    assert version == [{"version": SCHEMA_VERSION}]
    assert saved.risk == 0.1
