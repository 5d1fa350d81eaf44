"""What playing costs: every question once, none that is known, counted by what really goes through the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID, SMALL_FRACTIONS, FractionGrid
from tests.models import tiny_models, tiny_models_segmentation, tiny_tokenizers


class Counted:
    """An explainer whose model counts the rows that go through it."""

    def __init__(self, explain: FourierExplainer) -> None:
        self.explain, self.rows = explain, 0
        explain.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self.rows += len(next(iter(kwargs.values())))

    def cost(self, results: Any, grid: Any, **options: Any) -> int:
        """Rows that playing takes; what the results say of it must be the same."""
        before, many = self.rows, results if isinstance(results, list) else [results]
        said = sum(result.provenance["passes"].get("perturbed", 0) for result in many)
        self.explain.perturb(results, grid, **options)
        assert sum(result.provenance["passes"].get("perturbed", 0) for result in many) - said == self.rows - before
        return self.rows - before


@pytest.fixture
def pictures() -> tuple[Counted, list[Attribution]]:
    counted = Counted(FourierExplainer(tiny_models.build("image-classification", "vit")))
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return counted, counted.explain.explain({"pixel_values": pixels}, method="magnitude")


@pytest.mark.parametrize("size", [1, 5, "auto"])
def test_the_published_grid_takes_nineteen_passes_and_the_clean_one(pictures: Any, size: Any) -> None:
    counted, results = pictures
    assert counted.rows == 3 + 2  # the clean pass, which the magnitude takes for the target's name, and one question
    assert counted.cost(results, PAPER_GRID, batch_size=size) == 19 * 3
    assert counted.cost(results, DEFAULT_GRID) == 5 * 3  # the small shares but one, which is among the tenths
    assert counted.cost(results, DEFAULT_GRID) == 0
    assert counted.cost(results, FractionGrid(delete=(0, 1))) == 0
    assert counted.cost(results, DEFAULT_GRID, overwrite=True) == (24 + 1) * 3


def test_steps_and_examples_share_batches(pictures: Any) -> None:
    counted, results = pictures
    sizes: list[int] = []
    counted.explain.model.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len(next(iter(kwargs.values())))), with_kwargs=True
    )
    counted.explain.perturb(results, PAPER_GRID, batch_size=19)
    assert sizes == [19, 19, 19]


def test_what_is_known_is_what_asking_says(pictures: Any) -> None:
    counted, results = pictures
    counted.explain.perturb(results, DEFAULT_GRID)
    for result in results:
        known = result.curve
        assert {(s.mode, s.fraction) for s in known.points} == set(DEFAULT_GRID)
        result.curve = None
        counted.explain.perturb(result, DEFAULT_GRID, overwrite=True)
        for stop in result.curve.points:
            told = known.at(stop.mode, stop.fraction)
            assert told.actual_fraction == stop.actual_fraction
            assert told.value == pytest.approx(stop.value, rel=1e-5, abs=1e-6)
            assert told.confidence == pytest.approx(stop.confidence, rel=1e-5)
            assert told.agreement == stop.agreement


def test_shares_as_before_keep_and_delete(pictures: Any) -> None:
    counted, results = pictures
    assert counted.cost(results, [0.1, 0.5]) == 4 * 3
    assert [(s.mode, s.fraction) for s in results[0].curve.points] == [
        ("keep", 0.1), ("delete", 0.1), ("keep", 0.5), ("delete", 0.5),
    ]  # fmt: skip
    assert counted.cost(results[0], FractionGrid(keep=SMALL_FRACTIONS)) == len(SMALL_FRACTIONS)
    assert counted.cost(results, FractionGrid(keep=SMALL_FRACTIONS)) == 2 * len(SMALL_FRACTIONS)


def test_a_label_that_the_model_does_not_say_is_not_kept_by_the_whole(pictures: Any) -> None:
    counted, results = pictures
    wrong = counted.explain.re_explain(results, [(r.target + 1) % 3 for r in results])
    before = counted.rows
    counted.explain.perturb(wrong, FractionGrid(keep=(1.0,), delete=(0.0,)))
    assert counted.rows == before
    for result in wrong:
        assert result.agreement == result.curve.at("keep", 1.0).agreement == result.curve.at("delete", 0).agreement == 0


def test_explaining_again_is_explaining(pictures: Any) -> None:
    counted, results = pictures
    batch, how = {"pixel_values": torch.stack([r.signal for r in results])}, {"method": "ffc:kappa=.03", "seed": 4}
    fresh = counted.explain.explain(batch, targets=[2, 0, 1], **how)
    other = counted.explain.explain(batch, **how)
    for again, expected in zip(counted.explain.re_explain(other, [2, 0, 1]), fresh, strict=True):
        assert torch.equal(again.scores, expected.scores)
        assert (again.target, again.key) == (expected.target, expected.key)
        assert again.provenance["method"] == expected.provenance["method"]
    with pytest.raises(InputError, match="2 targets for 3"):
        counted.explain.re_explain(results, [0, 1])


def test_a_saved_result_knows_its_whole(pictures: Any, tmp_path: Any) -> None:
    counted, results = pictures
    back = Attribution.load(results[0].save(tmp_path))
    assert back.agreement == results[0].agreement == 1
    assert counted.cost(back, PAPER_GRID) == 19
    back.agreement, back.curve = None, None  # as written by a version that did not say so
    assert counted.cost(back, PAPER_GRID) == 20


def test_scores_that_cost_several_rows_are_counted_as_such() -> None:
    """A masked language model without a mask masks several places in turn."""
    explain = FourierExplainer(tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer("bert"))
    result = explain.explain(tiny_tokenizers.texts(1)[0], method="magnitude")
    counted = Counted(explain)
    rows = counted.cost(result, PAPER_GRID)
    assert rows > 19
    assert rows % 19 == 0


@pytest.mark.parametrize(("name", "target", "cost"), [("two classes", None, 19), ("two classes", "brain", 20)])
def test_masks_of_shared_questions_are_stored_under_each_name(name: str, target: Any, cost: int) -> None:
    """Where one class alone counts, the clean prediction's other places are not known, and it is asked once more."""
    masks = Counted(FourierExplainer(tiny_models_segmentation.build(name), task="image-segmentation"))
    volume = torch.rand(1, 6, 7, 8, generator=torch.Generator().manual_seed(1)).numpy()
    result = masks.explain.explain(volume, target, method="magnitude")
    assert masks.cost(result, PAPER_GRID) == cost
    said = dict(result.extras)
    assert set(said) == {f"mask {part} {share:g}" for part, share in PAPER_GRID}
    assert torch.equal(said["mask keep 0"], said["mask delete 1"])
    assert torch.equal(said["mask keep 1"], said["mask delete 0"])
    result.curve = None
    masks.explain.perturb(result, PAPER_GRID, overwrite=True)
    for mask in said:
        assert torch.equal(said[mask], result.extras[mask]), mask
