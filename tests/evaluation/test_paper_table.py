"""The table of a paper: rounded means with intervals, the best and the marks, by closed-form cases."""

import pytest

from hf_fourier.errors import InputError
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.results.estimate import Estimate

GROUPS = [str(i) for i in range(40)]
BASE = [0.5 + 0.01 * (i % 5) for i in range(40)]


def shifted(by):
    """The control's numbers moved by a constant: the paired interval is that constant, whatever the spread."""
    return [value + by for value in BASE]


def made(**others):
    rows = {
        "magnitude": BASE, "random": shifted(-0.2), "ffc:kappa=0.1": shifted(0.1), "alike": list(reversed(BASE)),
    } | others  # fmt: skip
    cells = [
        MethodResult(name, "fourier", name in ("magnitude", "random"), (1, 0), {"dig": v, "deletion": v, "size": v})
        for name, v in rows.items()
    ]
    return Evaluation("toy", cells, GROUPS, {"dig": 1, "deletion": -1, "size": 0})


def by_method(table, title):
    return dict(zip(table["method"], table[title], strict=True))


def test_marks_and_the_best_follow_the_direction():
    table = made().table(["dig", "deletion", "size"])
    assert list(table.columns) == ["method", "dig ↑", "deletion ↓", "size"]
    more, less, size = (by_method(table, title) for title in ("dig ↑", "deletion ↓", "size"))
    assert {name: one.mark for name, one in more.items()} == {
        "magnitude": "", "random": "†", "ffc:kappa=0.1": "*", "alike": "",
    }  # fmt: skip
    assert {name: one.mark for name, one in less.items()} == {
        "magnitude": "", "random": "*", "ffc:kappa=0.1": "†", "alike": "",
    }  # fmt: skip
    assert {one.mark for one in size.values()} == {"", "‡"}
    assert [name for name, one in more.items() if one.best] == ["ffc:kappa=0.1"]
    assert [name for name, one in less.items() if one.best] == ["random"]
    assert not any(one.best for one in size.values())
    assert (more["random"].number, f"{float(more['random']):.3f}") == ("0.32", "0.320")


def test_another_control_can_be_chosen_by_its_name():
    table = made().table(["dig"], against="ffc")
    assert {name: one.mark for name, one in by_method(table, "dig ↑").items()} == {
        "magnitude": "†", "random": "†", "ffc:kappa=0.1": "", "alike": "†",
    }  # fmt: skip
    assert "worse than ffc" in " ".join(table.notes)


def test_a_difference_that_only_the_mean_shows_has_no_mark():
    noisy = [value + (0.3 if i % 2 else -0.29) for i, value in enumerate(BASE)]
    assert by_method(made(noisy=noisy).table(["dig"]), "dig ↑")["noisy"].mark == ""


def test_few_groups_have_no_marks():
    few = Evaluation("toy", made().cells, [str(i % 29) for i in range(40)], {"dig": 1, "deletion": -1})
    found = few.table(["dig", "deletion"])
    assert {one.mark for title in ("dig ↑", "deletion ↓") for one in found[title]} == {""}
    assert "not compared with magnitude: this needs another method in its domain, and 30 groups" in found.notes


def test_the_notes_state_n_the_groups_and_what_is_missing():
    values = [float("nan"), *shifted(0.1)[1:]]
    notes = " ".join(made(gaps=values).table(["dig"]).notes)
    assert "n = 40 examples in 40 groups" in notes
    assert "anecdotal" not in notes
    assert "undefined for some examples, which are left out: 1 of gaps" in notes
    assert "excludes 0" in notes


def test_a_method_without_the_quantity_has_a_dash():
    evaluation = made()
    cells = [*evaluation.cells, MethodResult("mute", "fourier", False, (1, 0), {})]
    table = Evaluation("toy", cells, GROUPS, evaluation.better).table(["dig"])
    assert str(by_method(table, "dig ↑")["mute"]) == "–"


def test_methods_in_several_domains_are_compared_within_their_own():
    cells = [
        MethodResult("magnitude", "fourier", True, (1, 0), {"dig": BASE}),
        MethodResult("ffc", "fourier", False, (1, 1), {"dig": shifted(0.1)}),
        MethodResult("magnitude", "cosine", True, (1, 0), {"dig": shifted(0.2)}),
        MethodResult("ffc", "cosine", False, (1, 1), {"dig": shifted(0.1)}),
    ]
    table = Evaluation("toy", cells, GROUPS, {"dig": 1}).table(["dig"])
    assert table["domain"] == ["fourier", "fourier", "cosine", "cosine"]
    assert [one.mark for one in table["dig ↑"]] == ["", "*", "", "†"]


def test_undefined_examples_are_counted_by_domain():
    gaps = [float("nan")] * 10 + shifted(0.1)[10:]
    cells = [
        MethodResult("ffc", place, False, (1, 1), {"dig": v}) for place, v in (("fourier", gaps), ("cosine", BASE))
    ]
    (note,) = [n for n in Evaluation("toy", cells, GROUPS, {"dig": 1}).table("dig", against="ffc").notes if "left" in n]
    assert note.endswith("left out: 10 of ffc in fourier")


def test_no_difference_is_claimed_where_none_was_computed():
    """Alone in its domain, or with one group, a method is compared with nothing."""
    apart = [
        MethodResult("magnitude", "fourier", True, (1, 0), {"dig": BASE}),
        MethodResult("ffc", "cosine", False, (1, 1), {"dig": shifted(0.1)}),
    ]
    one_group = Evaluation("toy", made().cells, ["a"] * 40, {"dig": 1})
    for found in (Evaluation("toy", apart, GROUPS, {"dig": 1}), one_group):
        notes = " ".join(found.table(["dig"]).notes)
        assert "not compared with magnitude" in notes
        assert "excludes 0" not in notes
    alike = Evaluation("toy", [one for one in made().cells if one.method in ("magnitude", "alike")], GROUPS, {"dig": 1})
    assert "no paired difference to magnitude has" in " ".join(alike.table(["dig"]).notes)


def test_methods_that_print_the_same_mean_are_equally_bold():
    found = made(**{"a": shifted(0.2), "b": shifted(0.2001), "ffc:kappa=0.1": BASE})
    assert [name for name, one in by_method(found.table("dig"), "dig ↑").items() if one.best] == ["a", "b"]
    assert [name for name, one in by_method(found.table("dig", digits=4), "dig ↑").items() if one.best] == ["b"]
    close = Evaluation("toy", [one for one in found.cells if one.method in ("a", "b")], GROUPS, {"dig": 1})
    assert not any(one.best for one in close.table("dig", against="a")["dig ↑"])


@pytest.mark.parametrize(
    ("quantities", "options", "message"),
    [
        (["dog"], {}, "did you mean 'dig'"),
        (["del"], {}, "did you mean 'deletion'"),
        (["dig"], {"digits": -1}, "digits -1; expected a whole number of at least 0"),
        (["dig"], {"against": "saliency"}, "one of magnitude, random"),
    ],
)
def test_what_was_not_measured_is_refused(quantities, options, message):
    with pytest.raises(InputError, match=message):
        made().table(quantities, **options)


def test_it_prints_within_the_terminal(monkeypatch):
    better = {f"quantity_{i}": 1 for i in range(9)}
    values = dict.fromkeys(better, BASE)
    cells = [MethodResult("magnitude", "fourier", True, (1, 0), values)]
    for width in (60, 80, 118):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = str(Evaluation("toy", cells, GROUPS, better)).splitlines()
        assert max(map(len, lines)) <= width
        assert all(any(name in line for line in lines) for name in better)


def test_a_frame_of_it_reads_like_the_table():
    frame = made().table(["dig"]).to_pandas()
    assert "0.62 [" in str(frame)
    assert frame["dig ↑"].astype(float).iloc[2] == pytest.approx(0.62)


def test_its_representation_is_one_line():
    assert repr(made()) == "Evaluation(toy: magnitude, random, ffc:kappa=0.1, alike; 40 examples in 40 groups)"


def test_latex_and_markdown():
    table = made().table(["dig"], digits=3)
    lines = table.to_latex("Scores of 5 % & more", "tab:dig").splitlines()
    (row,) = [line for line in lines if line.startswith("ffc:kappa=0.1")]
    assert row == r"ffc:kappa=0.1 & \textbf{0.620} [0.616, 0.624]$^{*}$ \\"
    assert r"\caption{Scores of 5 \% \& more}" in lines
    assert r"\label{tab:dig}" in lines
    assert r"\begin{tabular}{@{}lr@{}}" in lines
    assert r"\textdagger{} worse than magnitude" in table.to_latex()
    assert "**0.620** [0.616, 0.624]&#42; |" in table.to_markdown()


@pytest.mark.parametrize(
    ("one", "text", "latex"),
    [
        (Estimate(-0.004, -0.1, 0.004), "0.00 [-0.10, 0.00]", "0.00 [$-$0.10, 0.00]"),
        (Estimate(-1.5, mark="†"), "-1.50†", r"$-$1.50$^{\dagger}$"),
        (Estimate(1.0, 1.0, 1.0, best=True), ">1.00 [1.00, 1.00]", r"\textbf{1.00} [1.00, 1.00]"),
        (Estimate(float("nan")), "–", "--"),
    ],
)
def test_one_cell(one, text, latex):
    assert (str(one), one.to_latex()) == (text, latex)
