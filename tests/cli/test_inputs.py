"""What `hf-fourier explain` reads beside pictures and texts, and what it writes for them."""

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from hf_fourier.cli import inputs
from hf_fourier.cli.inputs import read, slug
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.files import read_example


@pytest.fixture(scope="session")
def sound_models(tmp_path_factory):
    """Two classifiers with fresh weights: of waveforms, and of spectrograms."""
    import torch
    import transformers as t

    waves, mels = tmp_path_factory.mktemp("tiny-wav2vec2"), tmp_path_factory.mktemp("tiny-whisper")
    torch.manual_seed(0)
    labels = {"id2label": {0: "low", 1: "high"}, "label2id": {"low": 0, "high": 1}}
    config = t.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 8), conv_stride=(5, 8), num_feat_extract_layers=2, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2, classifier_proj_size=8, **labels,
    )  # fmt: skip
    t.Wav2Vec2ForSequenceClassification(config).save_pretrained(waves)
    t.Wav2Vec2FeatureExtractor().save_pretrained(waves)
    whisper = t.WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=16, max_source_positions=50, num_mel_bins=80,
        classifier_proj_size=8, **labels,
    )  # fmt: skip
    t.WhisperForAudioClassification(whisper).save_pretrained(mels)
    t.WhisperFeatureExtractor(chunk_length=1).save_pretrained(mels)
    return {"waveform": waves, "spectrogram": mels}


@pytest.fixture
def clip(tmp_path):
    """Half a second of two tones in stereo, at another rate than the models'."""
    rate = 22050
    t = np.arange(rate // 2) / rate
    both = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1000 * t)], axis=1) / 2
    wavfile.write(tmp_path / "two tones.wav", rate, both.astype(np.float32))
    return tmp_path / "two tones.wav"


@pytest.mark.parametrize("kind", ["waveform", "spectrogram"])
def test_a_sound_end_to_end(run, sound_models, clip, tmp_path, kind):
    from hf_fourier import Attribution

    done = run("explain", sound_models[kind], clip, "--output", "out", "--fraction", ".04,.3")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out" / "two-tones"
    assert Attribution.load(folder).layout.signal.kind == kind
    assert (folder / "figure.png").stat().st_size > 10_000
    for name in ("clean.wav", "kept.wav", "removed.wav"):
        rate, samples = wavfile.read(folder / name)
        assert rate == 16000
        assert len(samples) == 8000
        assert 0 < np.abs(samples).max() <= 1
        level = 10 * np.log10((samples.astype(float) ** 2).mean())
        assert f"{name} ({level:.0f} dB)" in done.stdout
    assert "note: 2 channels were averaged into one" in done.stdout
    assert "note: resampled from 22050 Hz" in done.stdout


def test_json_names_the_sounds(run, sound_models, clip):
    done = run("explain", sound_models["waveform"], clip, "--json", "--fraction", ".3")
    (result,) = json.loads(done.stdout)["results"]
    assert list(result["files"]["sounds"]) == ["clean.wav", "kept.wav", "removed.wav"]


def test_a_figure_beside_pictures_has_no_sounds(run, image_model, image, tmp_path):
    done = run("explain", image_model, image, "--output", "out", "--fraction", ".3")
    assert "sounds:" not in done.stdout
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_a_file_that_is_no_sound(run, sound_models, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    done = run("explain", sound_models["waveform"], "broken.wav")
    assert done.exit_code == 2
    assert "a format that libsndfile reads" in done.stderr


@pytest.fixture(scope="session")
def cell_model(tmp_path_factory):
    """Geneformer's architecture with fresh weights and 30 genes."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("tiny-cells")
    genes = [f"ENSG{i:011d}" for i in range(30)]
    files = {
        "token_dictionary": {"<pad>": 0, "<mask>": 1, **{gene: i + 2 for i, gene in enumerate(genes)}},
        "gene_median_dictionary": dict.fromkeys(genes, 1.0),
        "gene_symbols": {gene: f"SYM{i}" for i, gene in enumerate(genes)},
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, id2label={0: "B", 1: "T"}, label2id={"B": 0, "T": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder, genes


def test_a_cell_end_to_end(run, cell_model, tmp_path):
    from hf_fourier import Attribution

    folder, genes = cell_model
    (tmp_path / "one.json").write_text(json.dumps({"genes": genes, "values": list(range(30))}))
    done = run("explain", folder, "one.json", "--output", "out", "--fraction", ".3")
    assert done.exit_code == 0, done.output
    a = Attribution.load(tmp_path / "out" / "one")
    assert list(a.names) == [f"SYM{i}" for i in range(29, 0, -1)], "by count; a count of 0 is not read"
    assert "cycles/gene" in done.stdout


@pytest.fixture
def atlas(cell_model, tmp_path):
    """Twelve cells in one file."""
    anndata, pd = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    counts = np.random.default_rng(0).poisson(2, (12, 30)).astype(np.float32)
    names = [f"AAAC{i}-1" for i in range(12)]
    table = anndata.AnnData(counts, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=cell_model[1]))
    table.write_h5ad(tmp_path / "atlas.h5ad")
    return counts


def genes_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_of_cells_goes_to_tables_of_genes_and_figures(run, cell_model, atlas, tmp_path, monkeypatch):
    from hf_fourier import Attribution

    monkeypatch.setattr(inputs, "FIRST_CELLS", 2)
    done = run("explain", cell_model[0], "atlas.h5ad", "--output", "out", "--fraction", ".1,.3")
    assert done.exit_code == 0, done.output
    assert "holds 12 cells: the first 2 are read" in done.stderr
    assert "Top genes of" in done.stdout
    every = genes_of(tmp_path / "out" / "genes.csv")
    assert sorted({row["cell"] for row in every}) == ["AAAC0-1", "AAAC1-1"]
    for number in range(2):
        folder = tmp_path / "out" / f"{number + 1:03d}-AAAC{number}-1"
        assert (folder / "figure.png").stat().st_size > 10_000
        own = genes_of(folder / "genes.csv")
        assert own == [row for row in every if row["cell"] == f"AAAC{number}-1"]
        assert len(own) == (atlas[number] > 0).sum()
        table = Attribution.load(folder).genes(float(own[0]["top_fraction"]))
        for row, expected in zip(own, table.rows(), strict=True):
            assert row["symbol"] == f"SYM{int(row['ensembl_id'][4:])}"
            found = {name: type(value)(row[name]) for name, value in expected.items()}
            assert found.pop("relevance") == pytest.approx(expected.pop("relevance"), rel=1e-5, abs=1e-9)
            assert found == expected


@pytest.mark.parametrize(
    ("cells", "numbers"), [("AAAC3-1, 5", [3, 5]), ("2:4", [2, 3]), (":2", [0, 1]), ("all", range(12)), ("7", [7])]
)
def test_cells_may_be_chosen(cell_model, atlas, tmp_path, cells, numbers):
    names, _ = read([str(tmp_path / "atlas.h5ad")], pair=False, cells=cells)
    assert names == [f"AAAC{i}-1" for i in numbers]


def test_one_cell_of_a_dataset(run, cell_model, tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"input_ids": [[5, 6, 7], [8, 9]], "length": [3, 2]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "cells.dataset"))
    done = run(
        "explain", cell_model[0], "cells.dataset", "--cells", "1", "--output", "out", "--fraction", ".3", "--json"
    )
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    assert result["input"] == "cell-00001"
    assert sorted(row["symbol"] for row in genes_of(tmp_path / "out" / "cell-00001" / "genes.csv")) == ["SYM6", "SYM7"]


@pytest.mark.parametrize(
    "content", ["", "[1, 2]", '{"genes": ["a"]}', '{"genes": "abc", "values": [1]}', "{", '[{"genes": []}]']
)
def test_json_that_is_no_cell(run, cell_model, tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    done = run("explain", cell_model[0], "bad.json")
    assert done.exit_code == 2
    assert '{"genes": [Ensembl ids], "values": [counts]}' in done.stderr


def test_a_protein_is_typed_as_it_is(run, tmp_path):
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path / "tiny-protein"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACDEFGHIKLMNPQRSTVWY"]
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=64)  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    vocabulary = {word: i for i, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=False).save_pretrained(folder)
    done = run("explain", folder, "EVQLVESGGG", "--fraction", ".3", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)["results"][0]
    assert any("cycles/residue" in column for column in result["top"][0])
    head, *rows = Path(result["files"]["track"]).read_text().splitlines()
    assert head.startswith('track type=bedGraph name="EVQLVESGGG"')
    assert [row.rpartition("\t")[0] for row in rows] == [f"EVQLVESGGG\t{i}\t{i + 1}" for i in range(10)]


def nifti(volume):
    """A volume as a NIfTI-1 file with axes from left to right, back to front, bottom to top."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *volume.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 16, 32)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<f", head, 108, 352)
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    head[344:348] = b"n+1\0"
    return bytes(head) + volume.astype("<f4").tobytes(order="F")


def test_volumes_of_three_endings(tmp_path):
    volume = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    (tmp_path / "a.nii").write_bytes(nifti(volume))
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(nifti(volume)))
    np.save(tmp_path / "c.npy", volume)
    for name in ("a.nii", "b.nii.gz", "c.npy"):
        assert np.array_equal(read_example(str(tmp_path / name)), volume)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.npy"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 40])
def test_broken_volumes(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_example(str(tmp_path / name))


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_example(str(tmp_path / "a.npy"))


def test_a_mask_end_to_end(run, tmp_path):
    import torch
    import transformers as t

    folder = tmp_path / "tiny-segformer"
    torch.manual_seed(0)
    config = t.SegformerConfig(
        num_labels=2, depths=[1] * 4, hidden_sizes=[8] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8,
        id2label={0: "ground", 1: "thing"}, label2id={"ground": 0, "thing": 1},
    )  # fmt: skip
    model = t.SegformerForSemanticSegmentation(config)
    torch.nn.init.normal_(model.decode_head.classifier.weight, std=3)
    model.save_pretrained(folder)
    t.SegformerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    done = run("explain", folder, "noise.npy", "--fraction", ".1,.5", "--output", "out")
    assert done.exit_code == 0, done.output
    assert "Dice with the clean mask" in done.stdout
    assert "the decision holds" not in done.stdout
    assert (tmp_path / "out" / "noise" / "figure.png").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [("notes.txt", "explain MODEL - <"), ("atlas.loom", "explain MODEL - <")],
)
def test_files_that_are_not_read_say_what_is(tmp_path, name, words):
    (tmp_path / name).write_text("a")
    with pytest.raises(InputError) as caught:
        read_example(str(tmp_path / name))
    assert words in str(caught.value)
    assert all(ending in str(caught.value) for ending in (".wav", ".nii.gz", ".npy", ".json"))


def test_names_of_files_are_examples_only_where_the_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'no-such\.wav', a file that does not exist"):
        read(["EVQLV", "no-such.wav"], pair=False)
    texts = ["where is no-such.wav", "www.example.com/w10/w11.zip", "https://example.com/a.wav", ".wav", "3.5 mm"]
    assert read(texts, pair=False)[1] == texts
    (tmp_path / "LOUD.WAV").write_bytes(b"")
    assert str(read(["LOUD.WAV"], pair=False)[1][0]) == "LOUD.WAV"


@pytest.mark.parametrize(
    ("text", "name"), [("x/head.nii.gz", "head"), ("a b.WAV", "a-b"), ("cell.json", "cell"), ("3.5 mm", "3.5-mm")]
)
def test_names_of_folders(text, name):
    assert slug(text) == name


def test_a_track_has_the_first_word_of_a_header_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(">chr1:100-200 forward\nACGT\n>sp|P1|right\tOS=x\nACGT\n>\nACGT\n")
    names, _ = inputs.read([str(path)], False)
    assert [inputs.chromosome(name) for name in names] == ["chr1:100-200", "sp|P1|right", "a"]
    assert len(inputs.chromosome("ACGT" * 100)) == 40
    assert inputs.chromosome("ATT CCG") == "ATT-CCG"
