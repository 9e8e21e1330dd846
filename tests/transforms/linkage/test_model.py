from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

import pyarrow as pa
import pytest

from transforms.linkage.frequencies import look_up_terms
from transforms.linkage.model import Model
from transforms.linkage.policy import LinkagePolicy, load_policy

from .register import PROFILES, SECRET, TOWNS, Profile, prepared, register, trained

POLICY = load_policy()


def fits(model: Model, profiles: Sequence[Profile], policy: LinkagePolicy = POLICY, secret: bytes = SECRET) -> bool:
    return model.fits(prepared(profiles, secret), policy)


def test_columns_are_those_that_the_profiles_fill(model: Model) -> None:
    assert model.columns == ("given", "family", "born", "street", "house_number", "postal_code", "city")


def test_a_model_survives_its_file(model: Model) -> None:
    again = Model.from_json(model.to_json(), model.frequencies.terms)
    assert again == model
    assert again is not None and again.version == model.version


@pytest.mark.parametrize(
    "path",
    [
        ("comparisons", "given", 0, "m"),
        ("rates", "matches"),
        ("rates", "lookalikes", "twin"),
        ("frequencies", "filled", "given"),
        ("trained_on", "profiles"),
        ("policy", "loose_probability"),
    ],
)
def test_a_model_that_was_changed_by_hand_is_refused(model: Model, path: tuple[str | int, ...]) -> None:
    content = json.loads(model.to_json())
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = part[path[-1]] / 2
    with pytest.raises(ValueError, match="was changed by hand"):
        Model.from_json(json.dumps(content), model.frequencies.terms)


def test_a_model_whose_terms_were_changed_by_hand_is_refused(model: Model) -> None:
    terms = model.frequencies.terms
    more = terms.set_column(2, "profiles", pa.array([n + 1 for n in terms["profiles"].to_pylist()]))
    with pytest.raises(ValueError, match="was changed by hand"):
        Model.from_json(model.to_json(), more)


@pytest.mark.parametrize("change", [{"format": None}, {"comparisons_version": "another"}])
def test_a_model_of_another_release_is_none(model: Model, change: dict[str, str | None]) -> None:
    content = {**json.loads(model.to_json()), **change}
    del content["version"]
    named = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    assert Model.from_json(json.dumps({"version": named, **content}), model.frequencies.terms) is None


def test_a_model_fits_its_columns_its_policy_and_its_secret_alone(model: Model) -> None:
    assert fits(model, PROFILES)
    assert not fits(model, [{**profile, "email": f"{i}@example.com"} for i, profile in enumerate(PROFILES)])
    assert not fits(model, PROFILES, POLICY.model_copy(update={"least_probability": 0.7}))
    assert not fits(model, PROFILES, secret=b"another secret")


@pytest.mark.parametrize(("profiles", "does"), [(359, False), (360, True), (440, True), (441, False)])
def test_a_model_fits_a_tenth_more_profiles_and_a_tenth_less(model: Model, profiles: int, does: bool) -> None:
    assert model.profiles == 400
    assert fits(model, register(341, 100)[0][:profiles]) is does


def test_a_model_does_not_fit_profiles_of_which_its_rules_bring_pairs_without_end(model: Model) -> None:
    alike = [{**PROFILES[0], "record_id": profile["record_id"]} for profile in PROFILES[2:]]
    assert not fits(model, [*PROFILES[:2], *alike])


def test_terms_hold_no_value_and_nothing_that_one_profile_has_alone(model: Model) -> None:
    terms, filled = model.frequencies.terms, model.frequencies.filled
    assert filled["given"] == 400 and 300 < filled["city"] < 400
    assert terms["column"].to_pylist().count("city") == len(TOWNS)
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in terms["value"].to_pylist())
    assert min(terms["profiles"].to_pylist()) == 2
    elsewhere = trained(PROFILES, b"another secret").frequencies.terms
    assert not set(terms["value"].to_pylist()) & set(elsewhere["value"].to_pylist())
    assert sorted(terms["profiles"].to_pylist()) == sorted(elsewhere["profiles"].to_pylist())


def test_a_value_that_the_model_does_not_know_counts_as_seen_once(model: Model) -> None:
    twice = {**PROFILES[0], "given_name": "Zenobia", "city": "Ahlen"}
    connection = prepared([twice, {**twice, "record_id": "crm:again"}])
    tables = look_up_terms(connection, model.frequencies)
    shares = dict(connection.execute(f"SELECT city, tf_city FROM {tables['city']}").fetchall())
    in_ahlen = sum(profile["city"] == "Ahlen" for profile in PROFILES)
    assert shares["ahlen"] == pytest.approx(in_ahlen / model.frequencies.filled["city"])
    names = dict(connection.execute(f"SELECT given, tf_given FROM {tables['given']}").fetchall())
    assert names["zenobia"] == pytest.approx(1 / 400)
