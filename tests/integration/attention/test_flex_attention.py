"""FlexAttention, whose kernel is compiled first: a minute and a half."""

from tests.support.branch import check_branch


def test_flex_attention_computes_a_branch_as_its_own_request() -> None:
    check_branch("flex_attention")
