"""`hf-fourier report` writes what it says, shares no input unasked, and prints others' texts as text."""

import json
from dataclasses import replace

from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.report.hostile_text import TEXTS
from tests.report.sample_results import PLAYED, picture, text


def test_a_report_of_saved_results_with_and_without_inputs(run, tmp_path):
    for name in ("cat", "cup"):
        picture(played=PLAYED, label=name).save(tmp_path / "explained" / name)
    done = run("report", "explained", "--output", "shared", "--title", "Two pictures")
    assert done.exit_code == 0, done.output
    assert "Two pictures: 2 examples, without inputs" in done.output
    assert not list((tmp_path / "shared").rglob("*.safetensors"))
    done = run("report", "explained", "--output", "here", "--include-inputs", "--max-examples", 1, "--figures")
    assert done.exit_code == 0, done.output
    assert "only the first 1 results" in done.output
    assert json.loads((tmp_path / "here" / "report.json").read_text())["names"] == ["cat"]
    assert (tmp_path / "here" / "figures" / "0001-dark.svg").is_file()
    assert "data:image/png" in (tmp_path / "here" / "index.html").read_text()


def test_what_is_no_result_is_told_in_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("report", "empty", "--output", "r")
    assert done.exit_code == 2
    assert "error: got the folder 'empty' without results" in done.output
    assert not (tmp_path / "r").exists()


def test_text_of_others_does_not_act_on_the_terminal(run, tmp_path):
    result = text(TEXTS[:8], played=PLAYED, label=TEXTS[0])
    result.provenance["model"] = f"{TEXTS[12]} {TEXTS[7]} [bold]x[/bold]"
    result.save(tmp_path / "r")
    done = run("report", "r", "--output", "out", "--title", f"{TEXTS[12]} {TEXTS[7]} [bold]x[/bold]")
    assert done.exit_code == 0, done.output
    assert not set("\u202e\u2066\x1b\x00\u2028") & set(done.output)
    assert "[bold]x[/bold]" in done.output


def test_a_report_of_a_spectrum_and_of_bands(run, tmp_path):
    made = picture(domain="fourier:bands=octave", method="shapley")
    made.fingerprint = 7
    made.save(tmp_path / "explained")
    found, _ = spectrum(LOW)
    replace(found, model="toy").save(tmp_path / "run" / "spectrum.safetensors")
    done = run("report", "explained", "--spectrum", "run", "--output", "both")
    assert done.exit_code == 0, done.output
    assert "1 examples, without inputs; the model's spectrum over 40 examples" in done.output
    page = (tmp_path / "both" / "index.html").read_text()
    assert page.index(found.summary()[0]) < page.index("is worth most: Shapley value")
    done = run("report", "--spectrum", "run/spectrum.safetensors", "--output", "alone", "--json")
    assert json.loads(done.stdout)["spectrum"] == 40
    for wrong, words in (("explained", "the folder 'explained' without a spectrum"), ("none", "which is not a file")):
        done = run("report", "--spectrum", wrong, "--output", "x")
        assert done.exit_code == 2
        assert words in done.output
    done = run("report", "--output", "x")
    assert done.exit_code == 2
    assert "nothing to report" in done.output
    assert not (tmp_path / "x").exists()
