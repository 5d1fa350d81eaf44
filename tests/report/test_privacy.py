"""What is shared holds no input, neither as it is nor to be worked out; no report tells of its machine."""

import getpass
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from hf_fourier import Report
from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.report import privacy
from hf_fourier.results.views import GeneView
from tests.report.sample_results import PLAYED, cell, hand_made, picture, spectrogram, text, waveform

TOKENS = ("Zyzzyva", "##quux", "flibbertigibbet", "wobbegong", "xylophagous")
GENES = ("GENEONE", "GENETWO", "GENETHREE")
IDS = ("ENSG00000999991", "ENSG00000999992", "ENSG00000999993")


def secretive(result, task, **made):
    """A result that holds all that should not be told."""
    noisy = {"adversarial": result.signal + 0.123456, "scale_maps": result.signal[None],
    "band_maps": result.signal[None],
             "path": [0.1] * 40, "mask keep 0.1": torch.ones(3, 3)}  # fmt: skip
    result.extras = {**result.extras, **noisy, "effective": torch.ones(2)}
    result.inputs = {"input_ids": torch.arange(4321, 4326)}
    result.fingerprint = 987654321987654321
    result.provenance |= {"task": task, "notes": ["not in the vocabulary: wobbegong"], "file": "wobbegong.png", **made}
    return result


def everything():
    cells = {"view": GeneView(genes=IDS)}
    return [
        secretive(picture(played=PLAYED), "image-classification"),
        secretive(text(TOKENS, played=PLAYED, label="wobbegong", target=4323), "text-generation"),
        secretive(cell(GENES, played=PLAYED, **cells), "text-classification"),
        secretive(waveform(played=PLAYED), "audio-classification"),
        secretive(spectrogram(played=PLAYED), "automatic-speech-recognition"),
        secretive(hand_made(40, domain="identity", played=PLAYED), "time-series-classification"),
    ]


def written(folder):
    """All files of a folder by name, their bytes as text; what Parquet and PNG files hold inside included."""
    from pyarrow import parquet

    files = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes().decode("utf-8", errors="replace")
        if path.suffix == ".parquet":
            files[f"{path.name} inside"] = str(parquet.read_table(path).to_pydict())
    return files


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    evaluation = Evaluation("toy", [MethodResult("ffc", "fourier", False, (1, 1), {"dig": [0.1] * 6})],
                            [f"patient-{i}.png" for i in range(6)], {"dig": 1})  # fmt: skip
    sanity = SanityResult("toy", "ffc", "fourier", "softmax", ["patient-1.png"], [Check("seeds", True, "no change")])
    report = Report(everything(), evaluation, sanity, names=[f"scan-of-{i}.png" for i in range(6)])
    return report.save(tmp_path_factory.mktemp("shared"))


def test_no_token_gene_name_or_fingerprint_is_written(shared):
    secrets = [*TOKENS, "quux", *GENES, *IDS, "patient-", "scan-of", '.png"', "987654321987654321", "4321", "4323"]
    files = written(shared)
    values = json.loads(files["report.json"])
    own = re.compile(r"index\.html|data/[a-z]+\.parquet|figures/[a-z]+(-dark)?\.png")
    assert all(own.fullmatch(name) for name in values["files"])
    files["report.json"] = json.dumps({**values, "files": [*values["files"].values()]})
    for name, content in files.items():
        for secret in secrets:
            assert secret not in content, (name, secret)
    names = {Path(name).parts[0] for name in written(shared) if "inside" not in name}
    assert names <= {"report.json", "index.html", "data", "figures"}


def test_nothing_is_written_that_has_a_number_for_each_place_or_feature(shared):
    def longest(value):
        if isinstance(value, dict):
            return max(map(longest, value.values()), default=0)
        if isinstance(value, list):
            return max(len(value) if all(isinstance(v, (int, float)) for v in value) else 0,
                       *(longest(v) for v in value), 0)  # fmt: skip
        return 0

    values = json.loads((shared / "report.json").read_text())
    for one in values["examples"]:
        assert longest(one) <= 16, one["kind"]
        assert {"adversarial", "scale_maps", "band_maps", "path", "mask keep 0.1"}.isdisjoint(one["extras"])
    assert longest(values["examples"][-1]) <= 2  # identity: its features are places, and have no bands
    page = (shared / "index.html").read_text()
    assert "data:audio" not in page
    assert "data:image" not in page


def test_labels_that_are_tokens_or_answers_are_withheld_and_classes_are_not(shared):
    labels = [one["label"] for one in json.loads((shared / "report.json").read_text())["examples"]]
    assert labels[1] == labels[4] == privacy.WITHHELD
    assert labels[0] == labels[2] == labels[3] == "espresso" or labels[2] == "T"
    said = [
        stop["predicted_class"]
        for stop in json.loads((shared / "report.json").read_text())["examples"][1]["curve"]["points"]
    ]
    assert set(said) == {None}


CREDENTIALS = ("hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
               "AKIA" + "ABCDEFGHIJKLMNOP")  # fmt: skip


@pytest.mark.parametrize("inputs", [False, True])
def test_no_credential_user_or_path_of_the_machine_is_written(inputs, tmp_path, monkeypatch):
    home = "/".join(("", "home", "mmustermann"))
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(getpass, "getuser", lambda: "mmustermann")
    results = []
    for result in everything():
        result.provenance |= {
            "model": f"{home}/models/private-net", "revision": CREDENTIALS[0], "origin": f"captum at {home}/lib",
            "notes": [f"read from {home}/data/x.wav with {CREDENTIALS[1]}", r"C:\Users\mmustermann\x",
                      "for mmustermann", "https://mmustermann:secretword@example.org/x",
                      "file:///home/mmustermann/y", "~/z/mmustermann"],
        }  # fmt: skip
        results.append(result)
    evaluation = Evaluation(f"{home}/models/private-net", [], [], {}, [("ffc", "fourier", f"see {home}/log")],
                            [CREDENTIALS[2]])  # fmt: skip
    sanity = SanityResult(f"{home}/models/private-net", "ffc", "fourier", "softmax", ["a"],
                    [Check("seeds", True, f"as in {home}/log")], [CREDENTIALS[0]])  # fmt: skip
    title = f"Report of mmustermann in {home} {CREDENTIALS[0]}"
    folder = Report(results, evaluation, sanity, title=title).save(tmp_path / "r", include_inputs=inputs, figures=False)
    for name, content in written(folder).items():
        for secret in (*CREDENTIALS, "mmustermann", home, "secretword", str(tmp_path), "C:\\Users"):
            assert secret not in content, (name, secret)
    assert json.loads((folder / "report.json").read_text())["model"] == "private-net"


@pytest.mark.parametrize(("name", "told"), [
    ("google/vit-base-patch16-224", "google/vit-base-patch16-224"), ("/data/models/net", "net"), ("./net", "net"),
    ("../a/b", "b"), (r"D:\nets\net", "net"), ("a/b/c", "c"), (None, ""),
])  # fmt: skip
def test_a_model_is_named_without_folders(name, told):
    assert privacy.model_of(name) == told


def test_words_that_look_a_little_like_paths_stay():
    for told in ("precision/recall at 4 %", "cycles/pixel", "a sound of 4.4 s", "1/2 of km/h", "and/or"):
        assert privacy.scrubbed(told) == told


# Inversion. Each attack is shown to work on magnitudes as they are, so that it could work.


def bag(power, table):
    """The tokens whose squared embeddings add up to the power of each channel."""
    weights, _ = nnls(table.T**2, power)
    return set(np.flatnonzero(weights > 0.3).tolist())


def test_a_bag_of_tokens_can_be_solved_for_from_magnitudes_and_not_from_a_report(tmp_path):
    rng = np.random.default_rng(0)
    table, length, found, chance = rng.normal(size=(60, 64)), 12, [], []
    for trial in range(4):
        ids = rng.choice(60, length, replace=False)
        result = hand_made(length, 64, channels=(1,), kind="tokens", signal=torch.tensor(table[ids]).float(),
                           names=tuple(map(str, ids)))  # fmt: skip
        channel = next(column.values for column in result.layout.columns if column.role == "channel")
        full = np.bincount(channel.long().numpy(), weights=result.power.double().numpy())
        assert bag(full, table) == set(ids.tolist())
        bands = Report.load(Report([result]).save(tmp_path / str(trial), figures=False)).records[0].bands
        found.append(len(_matching(bands, table, length, rng) & set(ids.tolist())))
        chance.append(length * length / 60)
    assert np.mean(found) <= np.mean(chance) + 2.5  # three standard errors of as many hypergeometric draws


def _matching(bands, table, length, rng):
    """Of many texts the one whose power is most like a report's."""
    best, least = set(), np.inf
    for _ in range(1500):
        ids = rng.choice(len(table), length, replace=False)
        power = (np.abs(np.fft.rfft(table[ids], axis=0)) ** 2).sum(1)
        power[1:-1] *= 2
        wrong = np.abs(power / power.sum() - np.asarray(bands.power)).sum()
        if wrong < least:
            best, least = set(ids.tolist()), wrong
    return best


def retrieved(magnitude, edge, rng, steps=300):
    """Fienup's hybrid input-output: a positive picture of known magnitudes, known to lie in a corner."""
    inside = np.zeros(magnitude.shape, dtype=bool)
    inside[:edge, :edge] = True
    x = rng.random(magnitude.shape) * inside
    for step in range(steps):
        spectrum = np.fft.fft2(x)
        new = np.fft.ifft2(magnitude * np.exp(1j * np.angle(spectrum))).real
        good = inside & (new > 0)
        x = np.where(good, new, x - 0.9 * new if step % 50 < 35 else 0)
    return np.where(inside & (x > 0), x, 0)


def alike(guess, truth):
    """The correlation of a guess or of its twin, which has the same magnitudes, with the truth."""
    return max(np.corrcoef(one.ravel(), truth.ravel())[0, 1] for one in (guess, guess[::-1, ::-1]))


def best(magnitude, edge, rng, starts=8):
    """Of several starts the one that fits the magnitudes best."""
    guesses = [retrieved(magnitude, edge, rng) for _ in range(starts)]
    return min(guesses, key=lambda guess: np.abs(np.abs(np.fft.fft2(guess)) - magnitude).sum())[:edge, :edge]


def test_a_picture_can_be_retrieved_from_magnitudes_and_not_from_a_report(tmp_path):
    rng, size, edge, full_marks, told = np.random.default_rng(1), 24, 8, [], []
    for trial in range(3):
        truth = np.zeros((size, size))
        truth[:edge, :edge] = rng.random((edge, edge))
        result = hand_made(1, size, size, channels=(0,), kind="pixels", signal=torch.tensor(truth)[None].float())
        full = np.abs(np.fft.fft2(truth))
        full_marks.append(alike(best(full, edge, rng), truth[:edge, :edge]))
        bands = Report.load(Report([result]).save(tmp_path / str(trial), figures=False)).records[0].bands
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij"))
        which = np.abs(radius[..., None] - np.asarray(bands.centres)).argmin(-1)
        count = np.bincount(which.ravel(), minlength=len(bands.power))
        power = (np.asarray(bands.power) / np.maximum(count, 1))[which] * (full**2).sum()  # its total is given away
        told.append(alike(best(np.sqrt(power), edge, rng), truth[:edge, :edge]))
    assert np.mean(full_marks) > 0.9
    assert np.mean(told) < 0.4


@pytest.mark.parametrize(
    ("target", "others", "shared"),
    [
        (3, {}, True),
        (None, {}, True),
        ([3, 4], {}, False),
        ([3, 4], {"head": "mask"}, True),
        (3, {"head": "contrast"}, False),
        (3, {"task": "text-generation"}, False),
        (None, {"task": None}, False),
    ],
)
def test_only_labels_of_one_class_are_shared(target, others, shared):
    result = picture(6, 5, target=target)
    result.provenance.update({"task": "image-classification", **others})
    assert privacy.shareable(result) == shared


@pytest.mark.parametrize(
    ("title", "shared", "told"),
    [
        ("Report of 3 pictures", True, "Report of 3 pictures"),
        ("see patients/wobbegong.png", True, "Frequency explanations of net"),
        ("see patients/wobbegong.png", False, "see patients/wobbegong.png"),  # the inputs are in it anyway
        ("Report of a/net", True, "Report of a/net"),
    ],
)
def test_a_title_that_is_shared_is_words_and_numbers(title, shared, told):
    model = "a/net" if "a/net" in title else "net"
    assert privacy.title_of(title, model, shared) == told


def test_provenance_is_fields_of_a_known_form():
    result = picture(6, 5)
    result.provenance = {
        "model": "net", "seed": 3, "seconds": 0.5, "batch": "wobbegong", "revision": None, "task": None,
        "head": "Wobbegong Street", "device": "cuda:0", "passes": {"forward": 2, "of wobbegong": 3, "backward": "x"},
        "wobbegong": 1, "range": "as it came", "notes": [],
    }  # fmt: skip
    told = privacy.provenance_of(result, shared=True)
    assert told == {
        "model": "net", "seed": 3, "seconds": 0.5, "revision": None, "task": None, "device": "cuda:0",
        "passes": {"forward": 2}, "notes": [],
    }  # fmt: skip


def test_numbers_are_rounded_and_all_else_stays():
    given = {"a": 1.23456, "b": [float("nan"), float("inf"), 2], "c": None, "d": True, "e": "text", "f": 123456}
    assert privacy.rounded(given) == {"a": 1.235, "b": [None, None, 2], "c": None, "d": True, "e": "text", "f": 123456}
    assert privacy.rounded(given)["d"] is True
    assert privacy.rounded(np.array([0.123456]), 2) == [0.12]


def test_names_of_two_letters_are_words_and_those_of_three_are_names(monkeypatch):
    home = "/".join(("", "home", "xyz"))
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(getpass, "getuser", lambda: "of")
    assert privacy.scrubbed("a sound of xyz") == "a sound of (user)"
