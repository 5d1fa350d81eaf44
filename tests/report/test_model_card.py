"""A model's README is changed in our section and our results; what others wrote stays byte by byte."""

from __future__ import annotations

import difflib

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard

from hf_fourier.errors import InputError
from hf_fourier.report.hub.model_card import BEGIN, END, edited, with_results, with_section

THEIRS = """---
# ours since 2021
license: "mit"   # asked legal
model-index:
- name: mine
  results:
  - task: {type: image-classification}
    dataset: {name: Beans, type: beans}
    metrics:
    - type: accuracy
      value: 0.90   # exactly
      verified: true
      somethingNew: 7
    source: {name: A, url: https://a.example}
  # another one
  - task: {type: image-classification}
    dataset: {name: Beans, type: beans}
    metrics: [{type: f1, value: 0.8}]
    source: {name: B, url: https://b.example}
- name: second
  results: []
# tail
tags: [a,
  b]
---

# Model

Their words.
""".replace("words.", "words.   ")


def result(value=0.5, data="Beans", metric="dig"):
    args = {"tool": "hf_fourier 0.1.0", "method": "ffc"}
    return EvalResult("image-classification", "beans", data, metric, value, metric_args=args)


def changes(before, after):
    found = [line for line in difflib.ndiff(before.split("\n"), after.split("\n")) if line[:1] in "+-"]
    return [line[2:] for line in found if line[0] == "-"], [line[2:] for line in found if line[0] == "+"]


def test_lines_are_added_and_none_is_changed():
    after = edited(THEIRS, "## Ours\n\nwords", "mine", [result()])
    gone, new = changes(THEIRS, after)
    assert gone == []
    assert BEGIN in new
    assert "    - type: dig" in new
    data = yaml.safe_load(after.split("---\n")[1])
    own = yaml.safe_load(THEIRS.split("---\n")[1])
    assert data["model-index"][0]["results"][:2] == own["model-index"][0]["results"]
    assert data["model-index"][1] == own["model-index"][1]
    assert data["model-index"][0]["results"][2]["metrics"][0]["value"] == 0.5


def test_the_clients_own_way_would_have_lost_what_others_wrote():
    card = ModelCard(THEIRS)
    card.data.eval_results.append(result())
    gone, _ = changes(THEIRS, str(card))
    assert any("https://b.example" in line for line in gone)
    assert any("# ours since" in line for line in gone)


def test_a_second_proposal_changes_our_own_lines_alone():
    peas = edited(THEIRS, "## Ours\n\nolder", "mine", [result(0.1, data="Peas")])
    first = edited(peas, "## Ours\n\nold", "mine", [result(0.5)])
    second = edited(first, "## Ours\n\nnew", "mine", [result(0.6)])
    gone, new = changes(first, second)
    assert ([line.strip() for line in gone], [line.strip() for line in new]) == (
        ["value: 0.5", "old"], ["value: 0.6", "new"]
    )  # fmt: skip
    data = yaml.safe_load(second.split("---\n")[1])["model-index"][0]["results"]
    told = {(one["dataset"]["name"], m["type"]): m["value"] for one in data for m in one["metrics"]}
    assert told == {("Beans", "accuracy"): 0.9, ("Beans", "f1"): 0.8, ("Peas", "dig"): 0.1, ("Beans", "dig"): 0.6}
    assert changes(THEIRS, second)[0] == []
    assert edited(second, "## Ours\n\nnew", "mine", [result(0.6)]) == second


def test_a_card_without_anything():
    after = edited("", "## Ours", "mine", [result()])
    assert ModelCard(after).data.eval_results == [result()]
    assert ModelCard(after).data.model_name == "mine"
    assert edited("", "## Ours", "mine", []) == f"{BEGIN}\n## Ours\n{END}\n"


@pytest.mark.parametrize("readme", ["# Only words", "# Only words\n", "---\ntags: [a]\n---\n"])
def test_cards_without_an_index(readme):
    after = edited(readme, "## Ours", "mine", [result()])
    assert changes(readme, after)[0] == []
    assert ModelCard(after).data.eval_results == [result()]
    assert after.endswith(f"{BEGIN}\n## Ours\n{END}\n")


def test_line_ends_and_marks_of_order_stay():
    before = "\ufeff" + THEIRS.replace("\n", "\r\n")
    after = edited(before, "## Ours\n\nx", "mine", [result()])
    assert "\n" not in after.replace("\r\n", "")
    assert after.startswith("\ufeff---\r\n")
    assert changes(before, after)[0] == []


def test_an_index_on_one_line_is_added_to():
    theirs = "{task: {type: x}, dataset: {type: y, name: z}, metrics: [{type: a, value: 1}]}"
    before = f"---\n# c\nmodel-index: [{{name: mine, results: [{theirs}]}}]\nb: 1 # d\n---\n"
    after = edited(before, "s", "mine", [result()])
    assert "# c\n" in after
    assert "b: 1 # d\n" in after
    assert [one.metric_type for one in ModelCard(after).data.eval_results] == ["a", "dig"]


def test_the_model_of_this_name_is_chosen():
    front = "model-index:\n- name: a\n  results: []\n- name: b\n  results: []"
    data = yaml.safe_load(with_results(front, "b", [result()]))["model-index"]
    assert [len(one["results"]) for one in data] == [0, 1]


def test_results_of_another_hand_that_used_this_library_stay():
    front = with_results("", "mine", [result(0.1, data="Theirs")])
    data = yaml.safe_load(with_results(front, "mine", [result(0.2, data="Ours")]))["model-index"][0]["results"]
    assert [one["metrics"][0]["value"] for one in data] == [0.1, 0.2]


@pytest.mark.parametrize(
    "body", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}", f"{BEGIN}{END}{BEGIN}{END}"]
)
def test_marks_that_do_not_belong_together_are_refused(body):
    with pytest.raises(InputError, match="correct the model card by hand"):
        with_section(body, "x")


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("a: [", "not YAML"),
        ("- a", "a map"),
        ("model-index: 3", "not a list"),
        ("model-index: [{name: x}]", "not a list"),
    ],
)
def test_metadata_that_are_broken_are_refused(front, words):
    with pytest.raises(InputError, match=words):
        edited(f"---\n{front}\n---\n# x\n", "s", "mine", [result()])


def test_what_looks_like_a_template_in_a_section_is_text():
    assert r"\1 \g<0> {{ x }}" in with_section(f"a\n{BEGIN}\nold\n{END}\nb", r"\1 \g<0> {{ x }}")
