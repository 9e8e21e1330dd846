from __future__ import annotations

import hashlib
import hmac
import multiprocessing
import stat
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.keys import define_keyed_hash, identifier_secret, keyed_hash
from transforms.settings import Settings


@settings(deadline=None, max_examples=25)
@given(secret=st.binary(min_size=1, max_size=100), text=st.text(max_size=80), length=st.integers(1, 64))
def test_the_hash_in_sql_is_hmac_sha256(secret: bytes, text: str, length: int) -> None:
    with duckdb.connect(":memory:") as connection:
        define_keyed_hash(connection, secret)
        row = connection.execute("SELECT keyed_hash(?, ?)", [text, length]).fetchone()
    expected = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:length]
    assert row == (expected,)
    assert keyed_hash(secret, text, length) == expected


def test_hmac_agrees_with_rfc_4231_test_case_2() -> None:
    assert keyed_hash(b"Jefe", "what do ya want for nothing?", 16) == "5bdcc146bf60754e"


def test_a_random_secret_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path / "home"})
    secret = identifier_secret(settings)
    file = tmp_path / "home" / "identifier.key"
    assert len(secret) == 64
    assert identifier_secret(settings) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["identifier.key"]


def test_installations_have_different_secrets(tmp_path: Path) -> None:
    secrets = {identifier_secret(Settings.model_validate({"home": tmp_path / name})) for name in "abc"}
    assert len(secrets) == 3


def _secret_of(home: Path) -> bytes:
    return identifier_secret(Settings.model_validate({"home": home}))


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        secrets = pool.map(_secret_of, [tmp_path] * 12)
    assert len(set(secrets)) == 1


def test_the_setting_goes_before_the_file(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "identifier_key": "mine"})
    assert identifier_secret(settings) == b"mine"
    assert not (tmp_path / "identifier.key").exists()


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "identifier.key").write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        identifier_secret(Settings.model_validate({"home": tmp_path}))
