from __future__ import annotations

import pytest

from transforms.linkage.policy import LinkagePolicy, load_policy


def test_a_policy_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be above least_probability"):
        LinkagePolicy.model_validate({**load_policy().model_dump(), "loose_probability": 0.6})
