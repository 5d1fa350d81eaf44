"""What is typed wrongly is one message that says what to do: no traceback, and no answer to another question."""

from __future__ import annotations

import pytest

#: What cannot be done however the model is: code 2, told before anything is loaded.
MISTYPED = [
    ("explain MODEL good --output FILE", "a folder that can be written"),
    ("explain MODEL good --output FILE/inside", "a folder that can be written"),
    ("explain MODEL good --batch-size x", "--batch-size"),
    ("explain MODEL good --batch-size 1.5", "--batch-size"),
    ("explain MODEL good --batch-size 0", "--batch-size"),
    ("explain MODEL good --cells 3", "leave --cells out"),
    ("explain MODEL good --seconds -1", "--seconds"),
    ("explain MODEL good --seconds nan", "--seconds"),
    ("explain MODEL good --overlap 1", "--overlap"),
    ("explain MODEL good --overlap -.1", "--overlap"),
    ("explain MODEL good --device x", "device 'x'"),
    ("explain MODEL good --device cuda:x", "got device"),
    ("explain MODEL good --device meta", "got device"),
    ("explain MODEL good --device cpu --device-map auto", "leave one out"),
    ("explain MODEL good --dtype x", "float32"),
    ("explain MODEL good --dtype int8", "float32"),
    ("explain MODEL good --dtype float8_e4m3fn", "float32"),
    ("explain MODEL good --device-map x", "auto"),
    ("explain MODEL good --target direction:nowhere.npy", ".npy"),
    ("explain MODEL a.png b.png --pair", "pictures"),
    ("explain MODEL good nowhere.png", "got 'nowhere.png', a file that does not exist"),
    ("explain MODEL ../nowhere.txt", "a file that does not exist"),
    ("explain MODEL good nowhere.h5ad --pair", "a file that does not exist"),
    ("bands MODEL nowhere.wav", "a file that does not exist"),
    ("mutations MODEL nowhere.fasta --output out", "a file that does not exist"),
    ("evaluate MODEL nowhere.nii.gz", "a file that does not exist"),
    ("sanity-check MODEL nowhere.jpg", "a file that does not exist"),
    ("explain-dataset MODEL nowhere.csv --output out", "which does not exist"),
    ("explain-dataset MODEL ./nowhere --output out", "which does not exist"),
    ("explain-dataset MODEL notes.pdf --output out", "which holds no examples"),
    ("spectrum MODEL nowhere.parquet --output out", "which does not exist"),
    ("spectrum MODEL notes.pdf --output out", "which holds no examples"),
    ("spectrum MODEL texts.txt --output out --batch-size x", "--batch-size"),
    ("genes MODEL nowhere.h5ad --output out", "which does not exist"),
    ("genes MODEL broken.h5ad --output out --batch-size x", "--batch-size"),
    ("genes MODEL broken.h5ad --output out --fraction x", "--fraction"),
    ("genes MODEL broken.h5ad --output out --target direction:nowhere.npy", ".npy"),
    ("explain-dataset MODEL texts.txt --output FILE", "a folder that can be written"),
    ("explain-dataset MODEL texts.txt --output FILE/inside", "a folder that can be written"),
    ("explain-dataset MODEL texts.txt --output out --device x", "got device"),
    ("explain-dataset MODEL texts.txt --output out --batch-size x", "--batch-size"),
    ("explain-dataset MODEL texts.txt --output out --threads 0", "--threads"),
    ("evaluate MODEL good --output .", "a CSV file that can be written"),
    ("evaluate MODEL good --output FILE/x.csv", "a CSV file that can be written"),
    ("evaluate MODEL good --batch-size x", "--batch-size"),
    ("sanity-check MODEL good --output .", "a CSV file that can be written"),
    ("sanity-check MODEL good --cells 1", "leave --cells out"),
    ("push FILE ada/cups/third --dry-run", "user/name"),
    ("push FILE --model-card 'a b' --dry-run", "user/name"),
    ("push FILE ada/cups --dataset x", "--model-card"),
    ("push FILE ada/cups --dataset-id x", "--model-card"),
    ("push FILE --model-card a/b --space", "USER/NAME"),
    ("push FILE --model-card a/b --include-inputs", "USER/NAME"),
    ("push FILE --model-card a/b --public", "USER/NAME"),
    ("push FILE --model-card a/b --license mit", "USER/NAME"),
    ("assets get minilm --all", "leave one out"),
    ("demo picture --output FILE", "a folder that can be written"),
]
#: What is wrong with this model or these data, which is known once they are there: the code and the words.
UNFIT = [
    ("explain MODEL good --device cuda:99", 1, "cpu"),
    ("explain MODEL good --task image-classification", 1, "choose another task"),
    ("explain MODEL good --task automatic-speech-recognition", 1, "choose another task"),
    ("explain MODEL good --revision v2", 1, "leave revision= out"),
    ("explain MODEL good --method ffc:kappa=x", 2, "correct the spec"),
    ("explain-dataset MODEL texts.txt --output out --split nope", 2, "leave `split` out"),
    ("explain-dataset MODEL broken.h5ad --output out", 2, "a table of cells"),
]


@pytest.fixture
def typed(run, text_model, tmp_path):
    import shlex

    (tmp_path / "FILE").write_text("x")
    (tmp_path / "texts.txt").write_text("a good\nb bad\n")
    (tmp_path / "broken.h5ad").write_bytes(b"x")
    (tmp_path / "notes.pdf").write_bytes(b"x")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    return lambda line: run(*(text_model if word == "MODEL" else word for word in shlex.split(line)))


@pytest.mark.parametrize(("line", "words"), MISTYPED, ids=[line for line, _ in MISTYPED])
def test_what_cannot_be_done_is_told_at_once(typed, monkeypatch, line, words):
    from hf_fourier.models import loading

    loaded = []
    monkeypatch.setattr(loading, "_config", lambda *args: loaded.append(args))
    done = typed(line)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not loaded
    assert done.stdout == ""


@pytest.mark.parametrize(("line", "code", "words"), UNFIT, ids=[line for line, _, _ in UNFIT])
def test_what_does_not_fit_is_one_message(typed, line, code, words):
    done = typed(line)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code
    told = done.stderr.splitlines()[-1]
    assert told.startswith("error: ")
    assert words in told
