"""`hf-fourier evaluate` and `hf-fourier sanity-check`: the numbers of Python, narrow enough, as JSON and CSV too."""

import csv
import json

import pytest

from hf_fourier import FourierExplainer

TEXTS = ["a good b", "bad c", "c b a", "good good a c"]


@pytest.fixture(scope="module")
def explainer(text_model):
    return FourierExplainer.from_pretrained(text_model)


def test_an_evaluation_says_what_python_says(run, text_model, explainer, tmp_path):
    done = run("evaluate", text_model, *TEXTS, "--method", "ffc", "--method", "saliency", "--output", "a/b.csv")
    assert done.exit_code == 0, done.output
    assert max(len(text) for text in done.stdout.splitlines() if not text.startswith("note")) <= 120
    expected = explainer.evaluate(TEXTS, ["ffc", "saliency"])
    for name, better in expected.better.items():
        assert f"{name} ({'more' if better > 0 else 'less'} is better)" in done.stdout
    assert f"{explainer.name}: 4 examples (4 groups), anecdotal" in done.stdout
    rows = list(csv.DictReader((tmp_path / "a/b.csv").open()))
    table = list(expected.table().rows())
    assert list(rows[0]) == list(table[0])
    assert [row["method"] for row in rows] == [row["method"] for row in table]
    assert [float(row["mean"]) for row in rows] == pytest.approx([row["mean"] for row in table], nan_ok=True)
    (dig,) = [row for row in table if (row["method"], row["metric"]) == ("saliency", "dig")]
    assert f"{dig['mean']:.3f}" in done.stdout
    assert f"[{dig['gap_low']:.3f}, {dig['gap_high']:.3f}]" in done.stdout
    assert "table: a/b.csv" in done.stdout


def test_an_evaluation_in_json(run, text_model):
    arguments = [
        "--domain",
        "fourier",
        "--domain",
        "identity",
        "--metric",
        "maintain_rate",
        "--json",
        "--target",
        "good",
    ]
    done = run("evaluate", text_model, "-", *arguments, input="\n".join(TEXTS))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {row["domain"] for row in found["rows"]} == {"fourier", "identity"}
    assert all(row["metric"].startswith("maintain_rate") for row in found["rows"])
    assert [one["method"] for one in found["excluded"]] == ["low_frequency"]
    assert "NaN" not in done.stdout


def test_the_fast_preset_and_its_cost_before_the_start(run, text_model, explainer):
    texts = [f"{text} {word}" for text in TEXTS for word in "abcdefghi"]
    done = run("evaluate", text_model, *texts, "--preset", "fast", "--json", "--method", "magnitude")
    assert done.exit_code == 0, done.output
    found, costs = json.loads(done.stdout), []

    class Listening:
        def begin(self, cost):
            costs.append(cost)

        def __call__(self, done, total):
            assert costs

    expected = explainer.evaluate(texts, ["magnitude"], preset="fast", progress=Listening())
    assert [row["mean"] for row in found["rows"]] == pytest.approx([row["mean"] for row in expected.table().rows()])
    assert "preset 'fast': the first 32 of 36 examples" in found["notes"]
    (cost,) = costs
    passes = f"{cost.forward:g} forward and {cost.backward:g} backward passes each"
    assert f"cost: 32 examples, at most {passes}" in done.stderr
    refused = run("evaluate", text_model, *TEXTS, "--preset", "slow")
    assert refused.exit_code == 2
    assert "correct `preset`" in refused.stderr


@pytest.mark.parametrize("name", ["noise", "example"])
def test_what_stands_in_the_place_of_deleted_features(run, text_model, explainer, name):
    asked = ("--metric", "dig", "--json", "--replacement", name)
    done = run("evaluate", text_model, "a good b", "a bad c", "a good w", *asked)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    texts = ["a good b", "a bad c", "a good w"]
    explainer.donors = texts
    expected = explainer.evaluate(texts, metrics=["dig"], replacement=name)
    assert found["replacement"] == name
    assert any("deleted features replaced by" in note for note in found["notes"])
    assert [row["mean"] for row in found["rows"]] == pytest.approx([row["mean"] for row in expected.table().rows()])


def test_pictures(run, image_model, image):
    done = run("evaluate", image_model, image, "--metric", "dig", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert {row["n"] for row in rows} == {1}
    assert rows[0]["low"] is None  # of one group no interval is taken


def test_sanity_fails_with_words_and_code_1(run, text_model, tmp_path):
    done = run("sanity-check", text_model, *TEXTS, "--method", "magnitude", "--output", "checks.csv")
    assert done.exit_code == 1, done.output
    assert "FAIL" in done.stdout
    assert "model randomization: with fresh weights, 1.00 of the top 4 % are the same" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    rows = {row["check"]: row for row in csv.DictReader((tmp_path / "checks.csv").open())}
    assert rows["model randomization"]["passed"] == "False"
    assert rows["completeness"]["passed"] == ""


def test_sanity_in_json(run, text_model, explainer):
    done = run("sanity-check", text_model, *TEXTS, "--method", "gradient_input", "--json")
    found, expected = json.loads(done.stdout), explainer.sanity_check(TEXTS, "gradient_input")
    assert done.exit_code == (0 if expected.passed else 1)
    assert found["passed"] == expected.passed
    assert [row["check"] for row in found["rows"]] == [check.name for check in expected.checks]
    assert [row["passed"] for row in found["rows"]] == [check.passed for check in expected.checks]
    assert [row["words"] for row in found["rows"]] == [check.words for check in expected.checks]


@pytest.mark.parametrize("command", ["evaluate", "sanity-check"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--method", "fcc"], "did you mean 'ffc'?"),
        (["a", "--domain", "furier"], "did you mean 'fourier'?"),
        (["a", "--target", "god"], "did you mean 'good'?"),
        (["a", "--batch-size", "0"], "a whole number of at least 1, or 'auto'"),
        (["-"], "nothing on standard input"),
        (["a", "--output", "."], "a CSV file"),
    ],
)
def test_errors_are_one_message_and_exit_code_2(run, text_model, command, arguments, words):
    done = run(command, text_model, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_metric_is_told_before_anything_is_loaded(run):
    done = run("evaluate", "no-such-model", "a", "--metric", "dug")
    assert done.exit_code == 2
    assert "metric 'dug'" in done.stderr
