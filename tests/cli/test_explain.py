"""`hf-fourier explain`: what it prints, what it writes, and what it says when it cannot."""

import json

import pytest


def test_a_picture_end_to_end(run, image_model, image, tmp_path):
    from hf_fourier import Attribution

    done = run("explain", image_model, image, "--fraction", ".1,.5", "--seed", 3)
    assert done.exit_code == 0, done.output
    a = Attribution.load(tmp_path / f"hf-fourier-{image_model.name}" / "noise-picture")
    assert (tmp_path / f"hf-fourier-{image_model.name}" / "noise-picture" / "figure.png").stat().st_size > 10_000
    assert a.provenance["seed"] == 3
    assert {stop.fraction for stop in a.curve.points} == {0.1, 0.5}
    assert f"{a.label} ({a.confidence:.3f})" in done.stdout
    assert "10 %" in done.stdout
    assert f"{a.curve.at('keep', 0.1).confidence:.3f}" in done.stdout
    assert f"{a.curve.at('delete', 0.5).confidence:.3f}" in done.stdout
    assert "cost: 4 forward, 4 backward, 4 forward to perturb;" in done.stdout
    assert "frequency_axis" not in done.stdout
    assert "cycles/pixel" in done.stdout
    assert all(row[-1] in done.stdout for row in a.top_features(10).formatted())


def test_what_stands_in_the_place_of_deleted_features(run, text_model, tmp_path):
    from hf_fourier import Attribution

    for name, words in (("noise", "noise of their power"), ("example", "another example's")):
        done = run(
            "explain", text_model, "a good b", "a bad c", "--fraction", ".3", "--replacement", name, "--output", name
        )
        assert done.exit_code == 0, done.output
        assert f"(deleted features replaced by {words}):" in done.stdout
        (one, other) = sorted((tmp_path / name).iterdir())
        assert Attribution.load(one).curve.replacement == Attribution.load(other).curve.replacement == name
    done = run("explain", "nowhere", "a good b", "--replacement", "phases")
    assert done.exit_code == 2
    assert "zero, noise, phase, band, reference, example" in done.output.replace("\n", " ")
    done = run("explain-dataset", "nowhere", "nothing", "--output", "x", "--replacement", "example")
    assert done.exit_code == 2


def test_text_that_looks_like_markup_stays_text(run, text_model, image_model, image):
    done = run("explain", text_model, "[bold]a[/bold] :smile: [/]")
    assert done.exit_code == 0, done.output
    assert "[bold]a[/bold] :smile: [/]" in done.stdout
    done = run("explain", image_model, image, "--target", 1)
    assert done.exit_code == 0, done.output
    assert "explained: [/] $x_1$ :smile: (" in done.stdout


def test_json_alone_on_standard_output(run, text_model, tmp_path):
    done = run(
        "explain", text_model, "a good b", "bad c", "--json", "--fraction", "0.3", "--output", "out", "--target", "good"
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [result["input"] for result in found["results"]] == ["a good b", "bad c"]
    for result in found["results"]:
        assert result["label"] == "good"
        assert result["target"] == 1
        assert len(result["top"]) == 10
        assert [stop["mode"] for stop in result["curve"]["points"]] == ["keep", "delete"]
        assert result["provenance"]["passes"] == {"forward": 8.0, "backward": 8.0, "perturbed": 2}
        assert (tmp_path / result["files"]["folder"] / "attribution.json").is_file()
        assert (tmp_path / result["files"]["figure"]).is_file()
    assert len({result["files"]["folder"] for result in found["results"]}) == 2


def test_lines_of_standard_input(run, text_model):
    done = run("explain", text_model, "-", "--json", "--fraction", "0.3", input="a good\n\nbad c\n")
    assert [result["input"] for result in json.loads(done.stdout)["results"]] == ["a good", "bad c"]


@pytest.mark.parametrize("arguments", [["a good", "bad"], ["-"]])
def test_pairs(run, text_model, tmp_path, arguments):
    from hf_fourier import Attribution

    done = run("explain", text_model, *arguments, "--pair", "--json", "--fraction", "0.3", input="a good\tbad\n")
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    assert result["input"] == "a good | bad"
    assert Attribution.load(tmp_path / result["files"]["folder"]).layout.signal.segments == (2, 1)


def test_methods_and_domains_are_passed_on(run, text_model):
    done = run("explain", text_model, "a good b", "--method", "magnitude", "--domain", "identity", "--json")
    provenance = json.loads(done.stdout)["results"][0]["provenance"]
    assert provenance["method"] == "magnitude"
    assert provenance["domain"] == "identity"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{model}", "a", "--target", "god"], "did you mean 'good'?"),
        (["{model}", "a", "--target", "7"], "class index 7"),
        (["{model}", "a", "--method", "fcc"], "did you mean 'ffc'?"),
        (["{model}", "a", "--domain", "furier"], "did you mean 'fourier'?"),
        (["{model}", "a", "--fraction", "4"], "fractions from 0 to 1"),
        (["{model}", "a", "--fraction", "x"], "fractions from 0 to 1"),
        (["{model}", "a", "--batch-size", "0"], "a whole number of at least 1, or 'auto'"),
        (["{model}", "a", "b", "c", "--pair"], "an even number"),
        (["{model}", ""], "at least one"),
        (["{model}", "-"], "nothing on standard input"),
        (["{model}", "notes.txt"], "explain MODEL - < notes.txt"),
    ],
)
def test_errors_are_one_message_and_exit_code_2(run, text_model, tmp_path, arguments, words):
    (tmp_path / "notes.txt").write_text("a\n")
    done = run("explain", *(argument.format(model=text_model) for argument in arguments), "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_loaded_is_exit_code_1(run):
    done = run("explain", "no-such-folder/[bold]", "a", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "no-such-folder/[bold]" in done.stderr


def test_debug_shows_where_an_error_comes_from(run, text_model):
    from hf_fourier.errors import TargetError

    done = run("explain", text_model, "a", "--target", "god", "--debug")
    assert isinstance(done.exception, TargetError)


def test_other_errors_are_not_hidden(run, text_model, monkeypatch):
    from hf_fourier.explainer import FourierExplainer

    def broken(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(FourierExplainer, "explain", broken)
    assert isinstance(run("explain", text_model, "a").exception, ZeroDivisionError)


def test_without_matplotlib_the_result_is_still_saved(run, text_model, tmp_path, monkeypatch):
    from hf_fourier.errors import MissingExtraError
    from hf_fourier.results.attribution import Attribution

    def missing(*_, **__):
        raise MissingExtraError("matplotlib", "report", "figures")

    monkeypatch.setattr(Attribution, "plot", missing)
    done = run("explain", text_model, "a good", "--output", "out")
    assert done.exit_code == 0
    assert "hf_fourier[report]" in done.stderr
    assert (tmp_path / "out" / "a-good" / "attribution.json").is_file()


def test_progress_bars_of_transformers_are_on_again(run, text_model):
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    run("explain", text_model, "a")
    assert logging.is_progress_bar_enabled() == before


def test_contributions_are_asked_for_printed_and_stored(run, text_model, image_model, image, tmp_path):
    from hf_fourier import Attribution

    done = run("explain", text_model, "a good b", "--contributions", 2, "--fraction", ".3", "--output", "out")
    assert done.exit_code == 0, done.output
    signed = Attribution.load(tmp_path / "out" / "a-good-b").contributions
    assert signed.points == 4  # two on the path from each of two references
    assert f"{signed.total:+.3g} above the mean of 2 references: every token masked, every" in done.stdout
    assert f"contributions sum to {signed.sum:+.3g}" in done.stdout
    assert "cost: 10 forward, 8 backward," in done.stdout
    done = run("explain", image_model, image, "--contributions", 1, "--json", "--method", "magnitude")
    (found,) = json.loads(done.stdout)["results"]
    assert found["contributions"]["references"] == ["each channel's mean", "the blurred picture"]
    assert found["provenance"]["contributions"] == 1
    assert found["provenance"]["passes"]["backward"] == 2
    done = run("explain", text_model, "a good b", "--json", "--contributions", "0")
    assert json.loads(done.stdout)["results"][0]["contributions"] is None
