"""What is shared holds free text only as far as the library wrote it: no path, token or name passes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hf_fourier import Report
from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.report import privacy
from hf_fourier.report.hub import repository
from tests.report.sample_results import PLAYED, picture
from tests.report.test_privacy import written

#: Folders of machines, which no file of the project writes out.
SRV, HOME = "srv", "home"
#: A text, and the parts of it that no file may hold.
LEAKS = {
    "path behind a colon": (f"read from:/{SRV}/zqkeller/x.wav", ("zqkeller", "/srv")),
    "path with spaces": (f"see /{HOME}/zq doe/my zqscans/zqpatient 7.nii", ("zqscans", "zqpatient")),
    "short path": ("in /zqsecret", ("zqsecret",)),
    "relative path": ("in zqproject/zqdata", ("zqproject", "zqdata")),
    "share": (r"\\zqserver\zqshare", ("zqserver", "zqshare")),
    "address": ("file:///zqhome/x and http://zqhost.example/y", ("zqhome", "zqhost")),
    "login": ("postgres://zquser:zqword@zqhost/db", ("zquser", "zqword")),
    "password": ("password=zqhunter2", ("zqhunter2",)),
    "Google": ("AIza" + "SyD" + "9zQx1" * 6, ("9zQx1",)),
    "GitLab": ("glpat-" + "Zq81x_" * 4, ("Zq81x",)),
    "GitHub": ("github_pat_" + "11Zq0" * 8, ("11Zq0",)),
    "Docker": ("dckr_pat_" + "Zq7k" * 6, ("Zq7k",)),
    "JSON web token": ("eyJ" + "hbGci" * 5 + "." + "eyJzdWIi" * 3 + ".Zq9x", ("hbGci", "eyJz")),
    "hexadecimal": ("deadbeef" * 5 + "zq", ("deadbeef",)),
    "mail": ("ask zqada@example.org", ("zqada",)),
    "key": ("-----BEGIN ZQKEY-----", ("ZQKEY",)),
    "name": ("for Zqanna of Zqtown", ("Zqanna", "Zqtown")),
}  # fmt: skip


def report(text: str, title: str | None = None) -> Report:
    """A report in whose every free text some text stands."""
    result = picture(played=PLAYED, label="espresso")
    prefix = "not complete: "
    result.provenance |= {
        "task": "image-classification", "revision": text, "origin": text, "device": text, "head": text,
        "method": f"given:origin={text},lift={text}", "domain": f"fourier:axes={text}", text: text, "file": text,
        "versions": {"torch": text, text: "2.13.0"}, "notes": [text, prefix + text, f"the checkpoint's {text}"],
        "passes": {text: 1, "forward": 2}, "batch": text,
    }  # fmt: skip
    cells = [MethodResult(f"given:origin={text}", f"fourier:axes={text}", False, (1, 1), {"dig": [0.1]}),
             MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1]})]  # fmt: skip
    evaluation = Evaluation("toy", cells, [text], {"dig": 1}, [("ffc", "fourier", text)], [text])
    sanity = SanityResult("toy", f"given:origin={text}", "fourier", text, [text], [Check(text, True, text)], [text])
    return Report([result], evaluation, sanity, title=title, names=[text])


@pytest.mark.parametrize("kind", LEAKS)
def test_no_text_of_others_is_in_a_shared_report(kind, tmp_path):
    text, parts = LEAKS[kind]
    folder = report(text).save(tmp_path / "report", figures=False)
    for name, content in written(folder).items():
        for part in parts:
            assert part not in content, (name, part)


@pytest.mark.parametrize("kind", [kind for kind in LEAKS if kind != "name"])
def test_a_title_that_is_more_than_words_is_replaced(kind, tmp_path):
    text, parts = LEAKS[kind]
    folder = report("x", title=f"A report {text}").save(tmp_path / "report", figures=False)
    for name, content in written(folder).items():
        for part in parts:
            assert part not in content, (name, part)
    assert json.loads((folder / "report.json").read_text())["title"].startswith("Frequency explanations of ")


@pytest.mark.parametrize("title", ["Which frequencies speak for a tumour?", "ResNet-50 on CIFAR-10: what it reads",
                                   "Töne und Geräusche, 4.5 s", "Report of 12 patients (2 groups)"])  # fmt: skip
def test_a_title_of_words_and_numbers_stays(title, tmp_path):
    assert Report.load(Report([picture()], title=title).save(tmp_path / "r", figures=False)).title == title


@pytest.mark.parametrize("kind", LEAKS)
def test_no_text_of_others_is_on_a_card(kind, tmp_path):
    text, parts = LEAKS[kind]
    for as_space in (False, True):
        where = repository.write_files(report(text), tmp_path / f"{as_space}", as_space, include_inputs=False)
        for part in parts:
            assert part not in (where / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [kind for kind in LEAKS if kind != "name"])
def test_provenance_is_a_list_of_known_fields_with_inputs_too(kind):
    text, parts = LEAKS[kind]
    result = report(text).results[0]
    made = privacy.provenance_of(replace(result, provenance={**result.provenance, "notes": []}), shared=False)
    for part in parts:
        assert part not in json.dumps(made)


def test_what_the_library_itself_wrote_stays():
    made = picture(played=PLAYED)
    made.provenance |= {
        "method": "ffc:kappa=0.03", "domain": "wavelet:family=db4,level=2", "revision": "0123456789abcdef" * 2,
        "device": "cuda:0", "head": "softmax", "seed": 3, "versions": {"torch": "2.13.0+cu118", "hf_fourier": "0.1.0"},
        "notes": ["not complete: the scores sum to 0.25 in place of 0.5, 50% of it away",
                  "the padding changes the output: without it the score changes by 0.2; explained as given",
                  "the padding changes the answer: without it the score changes by 0.2; explained as given"],
        "dither": 1e-6,
        "passes": {"forward": 2, "backward": 1}, "seconds": 0.5, "task": "image-classification", "batch": 4,
    }  # fmt: skip
    found = privacy.provenance_of(made, shared=True)
    for name in ("method", "domain", "revision", "device", "head", "seed", "versions", "notes", "dither", "passes",
                 "seconds", "task", "batch"):  # fmt: skip
        assert found[name] == made.provenance[name], name


@pytest.mark.parametrize("text", [
    "stft for pixels: none of its axes is time; use 'wavelet' for frequencies with a place",
    "95 % interval [0.25, 0.75] of 30 groups (anecdotal)", "the top 4 % of frequencies, gradient × input",
    "cycles/pixel", "1/2", "and/or", "κ = 0.003",
])  # fmt: skip
def test_words_of_the_library_stay(text):
    assert privacy.public_text(text) == text


def test_patterns_find_paths_of_other_forms():
    """The second line, for what is shared with inputs: names and notes."""
    for text, part in ((f"a:/{SRV}/x/y", "srv"), (f"in /{HOME}/zq doe/my data/x.wav", "data"), ("/secret", "secret"),
                       ("(/secret)", "secret"), ("='/secret/x'", "secret"), ("glpat-" + "Zq81x_" * 4, "Zq81"),
                       ("AIza" + "SyD9zQx1" * 5, "zQx1"), ("token=abc123", "abc123")):  # fmt: skip
        assert part not in privacy.scrubbed(text), text
    assert privacy.scrubbed("see https://example.org/page/two") == "see https://example.org/page/two"
