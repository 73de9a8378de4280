"""The node filter, rule by rule. The rules are those of Rundeck's manual, "Node Filters"."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskmedic.domain import nodes as attr
from taskmedic.domain.errors import FilterInvalid
from taskmedic.domain.node_filter import MAX_LENGTH, Clause, NodeFilter
from taskmedic.domain.nodes import Node

IMAGE = attr.CONTAINER_IMAGE


def node(name: str = "0123/app", *, tags: tuple[str, ...] = (), **attributes: str) -> Node:
    spelled = {key.replace("_", "-"): value for key, value in attributes.items()}
    return Node(name, {f"ECS:{key}": value for key, value in spelled.items()}, tags)


def matches(text: str, of: Node) -> bool:
    return NodeFilter.parse(text).matches(of)


def test_attribute_value() -> None:
    assert matches("ECS:Service-Name: checkout", node(Service_Name="checkout"))
    assert not matches("ECS:Service-Name: checkout", node(Service_Name="search"))


def test_the_example_of_the_original_documentation() -> None:
    assert matches("ECS:Container-Image: spring.*", node(Container_Image="spring/petclinic:3"))
    assert not matches("ECS:Container-Image: spring.*", node(Container_Image="shop/spring:3"))


def test_value_right_after_the_colon_as_a_click_in_the_original_gives_it() -> None:
    assert matches("ECS:Cluster-ARN:.*", node(Cluster_ARN="arn:aws:ecs:eu-west-1:1:cluster/prod"))
    arn = "arn:aws:ecs:eu-west-1:111111111111:cluster/prod"
    assert matches(f"ECS:Cluster-ARN:{arn}", node(Cluster_ARN=arn))


def test_negated_attribute() -> None:
    assert not matches("!ECS:Service-Name: checkout", node(Service_Name="checkout"))
    assert matches("!ECS:Service-Name: checkout", node(Service_Name="search"))


def test_negated_attribute_that_the_node_does_not_have() -> None:
    assert matches("!ECS:Service-Name: checkout", node())
    assert not matches("ECS:Service-Name: .*", node())


def test_bare_word_is_the_node_name() -> None:
    assert matches("0123/.*", node("0123/app"))
    assert not matches("0124/.*", node("0123/app"))


def test_nodename_is_the_name() -> None:
    assert NodeFilter.parse("nodename: a") == NodeFilter.parse("name: a") == NodeFilter.parse("a")


def test_regular_expression_must_match_the_whole() -> None:
    assert not matches("ECS:Service-Name: check", node(Service_Name="checkout"))
    assert not matches("ECS:Service-Name: out", node(Service_Name="checkout"))
    assert matches("ECS:Service-Name: check|checkout", node(Service_Name="checkout"))


def test_value_equal_to_the_attribute_matches_even_where_the_expression_does_not() -> None:
    assert matches("ECS:Started-By: a+b", node(Started_By="a+b"))


def test_comma_list_is_exact_match_of_any() -> None:
    listed = "ECS:Service-Name: checkout,search"
    assert matches(listed, node(Service_Name="checkout"))
    assert matches(listed, node(Service_Name="search"))
    assert not matches(listed, node(Service_Name="checkout,search"))


def test_comma_list_holds_no_regular_expressions() -> None:
    assert not matches("ECS:Service-Name: check.*,search", node(Service_Name="checkout"))
    assert NodeFilter.parse("ECS:Service-Name: check.*,search").ineffective == ("check.*",)


def test_comma_inside_brackets_belongs_to_the_regular_expression() -> None:
    assert matches("ECS:Service-Name: web-[0-9]{1,2}", node(Service_Name="web-12"))
    assert not matches("ECS:Service-Name: web-[0-9]{1,2}", node(Service_Name="web-123"))


def test_same_attribute_twice_joins_to_a_list() -> None:
    assert NodeFilter.parse("name: web1 name: web2") == NodeFilter.parse("name: web1,web2")
    assert not matches("ECS:Service-Name: check.* ECS:Service-Name: search", node(Service_Name="checkout"))


def test_bare_words_join_to_a_list_of_names() -> None:
    assert NodeFilter.parse("mynode1 mynode2").clauses == (Clause("name", ("mynode1", "mynode2")),)


def test_negated_and_plain_clauses_of_one_attribute_are_kept_apart() -> None:
    chosen = NodeFilter.parse("name: .*app !nodename: 0124/app")
    assert chosen.matches(node("0123/app"))
    assert not chosen.matches(node("0124/app"))


def test_clauses_are_anded() -> None:
    both = "ECS:Service-Name: checkout ECS:Container-Name: app"
    assert matches(both, node(Service_Name="checkout", Container_Name="app"))
    assert not matches(both, node(Service_Name="checkout", Container_Name="proxy"))


def test_negated_clauses_are_anded_too() -> None:
    neither = "!ECS:Service-Name: search !ECS:Container-Name: proxy"
    assert matches(neither, node(Service_Name="checkout", Container_Name="app"))
    assert not matches(neither, node(Service_Name="checkout", Container_Name="proxy"))
    assert not matches(neither, node(Service_Name="search", Container_Name="app"))


def test_tags_plus_is_and() -> None:
    assert matches("tags: team=a+env=prod", node(tags=("team=a", "env=prod")))
    assert not matches("tags: team=a+env=prod", node(tags=("team=a",)))


def test_tags_comma_is_or() -> None:
    either = "tags: team=a+env=prod,canary"
    assert matches(either, node(tags=("canary",)))
    assert matches(either, node(tags=("env=prod", "team=a")))
    assert not matches(either, node(tags=("env=prod",)))


def test_tag_that_holds_a_plus_itself() -> None:
    assert matches("tags: version=1+build", node(tags=("version=1+build",)))


def test_negated_tags() -> None:
    assert not matches("!tags: canary", node(tags=("canary",)))
    assert matches("!tags: canary", node())


def test_tag_as_an_attribute() -> None:
    assert matches("ECS:Tag-team: pay.*", Node("a", {"ECS:Tag-team": "payments"}))


def test_tag_key_with_colons_and_blanks() -> None:
    tagged = Node("a", {"ECS:Tag-aws:ecs:serviceName": "x", "ECS:Tag-Cost Center": "4 711"})
    assert matches("ECS:Tag-aws:ecs:serviceName: x", tagged)
    assert matches('"ECS:Tag-Cost Center": "4 711"', tagged)


@pytest.mark.parametrize(
    "text", ['ECS:Tag-a: "x y"', "ECS:Tag-a: 'x y'", "ECS:Tag-a:'x y'", "ECS:Tag-a: x' 'y"]
)
def test_quotes_keep_blanks_together(text: str) -> None:
    assert matches(text, Node("a", {"ECS:Tag-a": "x y"}))


def test_doubled_quote_stands_for_itself() -> None:
    assert matches('ECS:Tag-a: "say ""hi"""', Node("a", {"ECS:Tag-a": 'say "hi"'}))


def test_blanks_around_the_items_of_a_quoted_list_do_not_count() -> None:
    assert NodeFilter.parse("name: 'a, b'") == NodeFilter.parse("name: a,b")


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_empty_filter_takes_every_node(text: str) -> None:
    assert matches(text, node())


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("ECS:Contaner-Image: x", 1, "Did you mean ECS:Container-Image?"),
        ("ECS:Service-Name: a service: b", 21, "there is no node attribute service"),
        ("ECS:Service-Name: a !cluster-name: b", 22, "Did you mean ECS:Cluster-Name?"),
        ("name:", 6, "name: has no value"),
        ("ECS:Cluster-ARN", 16, "ECS:Cluster-ARN: has no value"),
        ('name: ""', 7, "a value is missing"),
        ("name: a, b", 9, "Write a list without blanks"),
        ("name: a,,b", 7, "a value is missing"),
        ("!canary", 1, "write !name: value"),
        ("name: *", 7, "not a regular expression: no argument for repetition operator: *"),
        ("ECS:Task-ID: ok name: (a", 23, "not a regular expression: missing )"),
        ("name: (?=a)b", 7, "not a regular expression"),
        ("name: a 'b c", 9, "the quote is not closed"),
        ("tags: a++b", 7, "a tag is missing before or after +"),
        ("!name: app.*,proxy", 8, "Write one expression: a.*|b.*"),
    ],
)
def test_parse_error_shows_the_place_with_a_caret(text: str, column: int, why: str) -> None:
    with pytest.raises(FilterInvalid) as caught:
        NodeFilter.parse(text)
    message, shown, caret = str(caught.value).split("\n")
    assert f"column {column}" in message
    assert why in message
    assert shown == f"  {text}"
    assert caret == "  " + " " * (column - 1) + "^"


def test_caret_stands_right_after_wide_and_combining_characters() -> None:
    for before, cells in (("name: 日本語日本語 ", 19), ("name: e\u0301te\u0301 ", 10)):
        with pytest.raises(FilterInvalid) as caught:
            NodeFilter.parse(f"{before}ECS:Bad: x")
        _, shown, caret = str(caught.value).split("\n")
        assert shown == f"  {before}ECS:Bad: x"
        assert caret == "  " + " " * cells + "^"


def test_caret_of_a_long_filter_stands_under_a_part_of_it() -> None:
    with pytest.raises(FilterInvalid) as caught:
        NodeFilter.parse("name: x " * 200 + "nope: x " + "name: x " * 200)
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) < 130
    assert shown[caret.index("^") :].startswith("nope: x")


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){500}a{500}"]
)
def test_hostile_pattern_takes_no_time(pattern: str) -> None:
    hostile = NodeFilter.parse(f"ECS:Tag-a: '{pattern}'")
    begun = time.process_time()
    hostile.matches(Node("a", {"ECS:Tag-a": "a" * 256 + "!"}))  # 256 characters is the longest value of a tag
    assert time.process_time() - begun < 1  # a backtracking engine would outlive the universe


def test_pattern_that_would_grow_too_large_is_refused() -> None:
    with pytest.raises(FilterInvalid, match="not a regular expression"):
        NodeFilter.parse("((((a{100}){100}){100}){100})")


def test_filter_that_is_too_long_is_refused() -> None:
    with pytest.raises(FilterInvalid, match="too long"):
        NodeFilter.parse("a" * (MAX_LENGTH + 1))


def test_user_mistake_writes_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FilterInvalid):
        NodeFilter.parse("name: (a")
    assert capfd.readouterr().err == ""


def test_clauses_on_attributes_that_are_not_known_yet_can_be_left_for_later() -> None:
    whole = NodeFilter.parse("ECS:Service-Name: a ECS:EC2-Instance-ID: i-1")
    assert whole.without(attr.LOOKED_UP) == NodeFilter.parse("ECS:Service-Name: a")


attributes = st.sampled_from([attr.NAME, attr.TAGS, *attr.ATTRIBUTES]) | st.text(
    st.characters(categories=["L", "N", "Zs"], include_characters=":.-_/'\"!"), min_size=1, max_size=12
).map(lambda key: attr.TAG_PREFIX + key)
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
texts = st.lists(st.tuples(st.booleans(), attributes, values), max_size=5)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@given(texts)
@settings(max_examples=300, deadline=None)
def test_what_is_printed_parses_back_to_the_same_filter(parts: list[tuple[bool, str, str]]) -> None:
    text = " ".join(
        f"{'!' if negated else ''}{quoted(name + ':')} {quoted(value)}" for negated, name, value in parts
    )
    try:
        parsed = NodeFilter.parse(text)
    except FilterInvalid:
        return  # not every text is a regular expression
    assert NodeFilter.parse(str(parsed)) == parsed


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_filter_or_a_clear_error(text: str) -> None:
    try:
        parsed = NodeFilter.parse(text)
    except FilterInvalid:
        return
    assert NodeFilter.parse(str(parsed)) == parsed
