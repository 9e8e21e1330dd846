"""The quick reader of YAML says of faults what the other says."""

from __future__ import annotations

import pytest
import yaml

from transforms.identity.policy import DEFAULT_POLICY
from transforms.yaml_text import compose_yaml, load_yaml


def test_what_is_read_is_what_the_other_reads() -> None:
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["types: [", "a: 1\nb: [1, 2\nc: 3", "a:\n\tb: 1", "a: *nobody", 'a: "\x01"', "a: !no 1"]
)
def test_faults_are_told_in_the_same_words(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as other:
        yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError) as one:
        load_yaml(text)
    assert str(one.value) == str(other.value)


def test_nodes_know_their_lines() -> None:
    ((_, node),) = compose_yaml("# a comment\na:\n  - 1").value
    assert node.start_mark.line == 2
