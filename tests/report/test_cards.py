"""Cards: what others wrote stays text in Markdown and in YAML, and the metadata are what the Hub takes."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, RepoCard

from hf_fourier import Report
from hf_fourier.report.hub import cards
from hf_fourier.report.hub.card_data import CardData, facts
from hf_fourier.report.hub.markdown import Markdown, interval, number, text
from hf_fourier.report.visible_text import escape_invisible
from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.hub import reports
from tests.hub.metadata import judged
from tests.report.hostile_text import ALL, TEXTS

#: What a card is made of where nobody put anything into it.
TAGS = {
    "h1",
    "h2",
    "h3",
    "p",
    "a",
    "ul",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "pre",
    "code",
    "strong",
    "em",
}


def parsed(markdown):
    """As a Hub shows it: HTML is let through, links are found, tables drawn."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


class Seen(HTMLParser):
    def __init__(self, shown):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(shown)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def plain():
    report = Report(reports.pictures(), reports.EVALUATION, reports.SANITY, title="Cups")
    return facts(report)


def poisoned(plain, bad):
    return replace(
        plain, title=bad, model=bad, task=bad, head=bad, revision=bad, methods=[(bad, bad)],
        measured=[replace(one, method=bad, domain=bad) for one in plain.measured],
        checks=[(bad,) * 5], classes=[(bad, bad, 2, 0.5, None)], excluded=[(bad,) * 3], notes=[bad],
    )  # fmt: skip


@pytest.mark.parametrize("bad", TEXTS)
@pytest.mark.parametrize("place", ["{}", "# {}", "| {} | x |", "**{}**", "- {}: y"])
def test_any_text_is_shown_as_it_is(bad, place):
    table = "| a | b |\n|---|---|\n" if "|" in place else ""
    seen = Seen(parsed(table + place.format(text(bad)) + "\n"))
    assert escape_invisible(bad).strip() in seen.text
    assert set(seen.tags) <= TAGS
    assert not seen.links


def test_text_that_is_markdown_on_purpose_is_let_through():
    assert text(Markdown("**b**")) == "**b**"
    for plain in ("plain words, 1.5 (x)", "closed_loop in fourier", "kappa=.1", "0.1.0", "Offline: it is", "(a): b"):
        assert text(plain) == plain


@pytest.mark.parametrize("make", [
    lambda f: cards.dataset_card(f, ["examples", "curves"], False),
    lambda f: cards.space_card(f, True),
    lambda f: f"---\ntags: [x]\n---\n{cards.section(f, ALL)}",
], ids=["dataset", "space", "section"])  # fmt: skip
@pytest.mark.parametrize("bad", [ALL, "- |", "<script>", "---\n# x"])
def test_a_card_of_hostile_text_has_the_structure_of_a_plain_one(plain, make, bad):
    tame, made = RepoCard(make(poisoned(plain, "x"))), RepoCard(make(poisoned(plain, bad)))
    seen = Seen(parsed(made.text))
    wanted = Seen(parsed(tame.text.replace(text(ALL), "x")))
    assert seen.tags == wanted.tags
    assert seen.links == wanted.links
    assert escape_invisible(bad).strip() in seen.text
    assert set(made.data.to_dict()) == set(tame.data.to_dict())


@pytest.mark.parametrize("bad", [*TEXTS, ALL])
def test_metadata_hold_hostile_text_as_text(plain, bad):
    f = poisoned(plain, bad)
    card = cards.dataset_card(f, ["examples"], False)
    assert judged(card, "dataset") == ([], [])
    data = DatasetCard(card).data
    assert data.pretty_name == escape_invisible(bad)
    assert set(data.to_dict()) == {"pretty_name", "tags", "size_categories", "configs"}
    assert judged(cards.space_card(f, False), "space") == ([], [])
    index = {"model-index": cards.model_index("m", cards.eval_results(f, bad, bad))}
    card = f"---\n{yaml.safe_dump(index, allow_unicode=True)}---\n"
    assert judged(card, "model") == ([], [])
    results = ModelCard(card).data.eval_results
    assert {one.dataset_name for one in results} == {escape_invisible(bad)}
    assert not any((ord(c) < 32 and c != "\n") or c in "\u202e\u2066" for c in card)


def test_the_viewer_opens_the_examples_first(plain):
    data = DatasetCard(cards.dataset_card(plain, ["curves", "evaluation", "examples"], False, "cc-by-4.0")).data
    assert data.configs[0] == {"config_name": "examples", "data_files": "data/examples.parquet"}
    assert {one["config_name"] for one in data.configs} == {"curves", "evaluation", "examples"}
    assert data.license == "cc-by-4.0"


def test_no_number_stands_without_its_gap_and_selectivity(plain):
    for card in (cards.dataset_card(plain, ["examples"], False), cards.section(plain)):
        assert "| DIG | ffc | fourier | 0.300 [0.300, 0.300] | +0.200 [0.200, 0.200] | more |" in card
        assert "| DIG | magnitude (control) | fourier | 0.100 [0.100, 0.100] |  | more |" in card
        assert "Selectivity (random wrong label) | ffc | fourier | 0.100" in card
        assert "31 examples of 31 groups. Intervals" in card
        assert "What you may conclude, and what not" in card
        assert "Left out: wam in fourier: has no scales" in card
        assert "| ffc | fourier | seeds | not applicable | n/a |" in card


def test_few_sources_claim_nothing():
    few = facts(Report(reports.pictures(), reports.evaluation(groups=3)))
    assert "fewer than 30 groups, so this is anecdotal and no claim is made" in cards.section(few)


def test_a_card_says_whether_inputs_are_in_it(plain):
    assert "No example: no original" in cards.dataset_card(plain, ["examples"], False)
    assert "**The examples themselves are in here**" in cards.dataset_card(plain, ["examples"], True)
    assert "**The examples themselves are shown.**" in cards.space_card(plain, True)


def test_results_of_methods_alone_go_into_the_index(plain):
    results = cards.eval_results(plain, "Cups", "beans")
    assert [(one.metric_type, one.metric_value) for one in results] == [
        ("maintain_rate", 0.6), ("selectivity", 0.1), ("dig", 0.3)
    ]  # fmt: skip
    first = results[0]
    assert (first.task_type, first.dataset_type, first.dataset_name) == ("image-classification", "beans", "Cups")
    assert first.metric_args["gap_to_magnitude"] == pytest.approx(0.1)
    assert first.metric_args["tool"].startswith("hf_fourier ")


def test_facts_are_stored_and_read(plain):
    import json

    assert CardData.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain


def test_a_report_without_an_evaluation_says_so():
    card = cards.dataset_card(facts(Report(reports.pictures())), ["examples"], False)
    assert "it does not show whether the rankings beat the controls" in card
    assert judged(card, "dataset") == ([], [])


def test_a_model_is_linked_where_its_name_can_be_one_on_the_hub(plain):
    assert "[bob/classifier](https://huggingface.co/bob/classifier)" in cards.dataset_card(plain, [], False)
    for name in ("bob/../x", "a/b/c", "a b/c", "toy", "javascript:x/y"):
        shown = cards.dataset_card(replace(plain, model=name), [], False)
        assert "](http" not in shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (float("nan"), "–"), (-0.25, "−0.250"), (1.0, "1.000")])
def test_numbers(value, shown):
    assert number(value) == shown


def test_intervals():
    assert interval(0.5, 0.25, 0.75) == "0.500 [0.250, 0.750]"
    assert interval(0.5, None, None, signed=True) == "+0.500"
    assert interval(None, None, None) == "–"


def test_the_judge_of_metadata_is_no_rubber_stamp():
    assert judged("# no block", "dataset")[1]
    assert judged("---\na: [\n---\n", "dataset")[0]
    assert judged("---\nconfigs: [{data_files: x}]\n---\n", "dataset")[0]
    assert judged("---\nsdk: none\n---\n", "space")[0]
    assert judged("---\nmodel-index: [{name: x, results: [{task: {}}]}]\n---\n", "model")[0]


@pytest.fixture(scope="module")
def with_spectrum():
    found, strong = spectrum(LOW)
    found = replace(found.grouped([f"patient {one}" for one in strong[:, 0]]), model=reports.MODEL)
    return found, facts(Report(reports.pictures(), reports.EVALUATION, spectrum=found))


def test_the_bands_of_the_model_stand_first(with_spectrum):
    found, facts = with_spectrum
    data, section = cards.dataset_card(facts, ["examples", "spectrum"], False), cards.section(facts)
    assert judged(data, "dataset") == ([], [])
    for card, later in ((data, "## What was measured"), (section, "## What the decisions go by")):
        assert card.index(found.summary()[0]) < card.index(later)
        assert "patient" not in card
        assert set(Seen(parsed(RepoCard(f"---\ntags: [x]\n---\n{card}").text)).tags) <= TAGS | {"hr", "ol"}
    assert section.startswith("## Which frequencies it reads")
    assert found.to_markdown().strip() in section


def test_facts_with_a_spectrum_are_stored_and_read(with_spectrum):
    import json

    _, facts = with_spectrum
    again = CardData.from_dict(json.loads(json.dumps(facts.to_dict())))
    assert cards.section(again) == cards.section(facts)


def test_a_card_of_a_spectrum_alone():
    card = cards.dataset_card(facts(Report([], spectrum=spectrum(LOW)[0])), ["spectrum"], False)
    assert judged(card, "dataset") == ([], [])
    assert "print(report.spectrum)" in card
    assert f"- Methods: filters in {text('fourier:bands=octave')}" in card
