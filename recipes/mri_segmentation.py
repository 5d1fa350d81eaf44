"""Which spatial frequencies of a scan does a segmentation need?

    .venv/bin/python recipes/mri_segmentation.py
    .venv/bin/accelerate launch recipes/mri_segmentation.py          # as many processes as are configured

Yours: change MODEL (--model, a Hub id or a folder with a segmentation head) and SCANS: a volume, a `.nii` file, a
picture. About three minutes on two cores. Offline, MODEL is deepbet's brain extraction, and there is one head, which
the recipe shifts to have several: they come from one source, and the tables say so.
"""

import torch
from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo
from hf_fourier.demo import scans
from hf_fourier.demo.models import linknet3d

given = options(__doc__, out="hf-fourier-mri-segmentation")
linknet3d.register()  # deepbet's class; a model of `transformers` needs no such line
MODEL = given.model or demo.get("deepbet")
head = scans.normalised(scans.at_size(torch.from_numpy(demo.head_mri()["volume"]), 48 if given.small else 64))
SCANS = [head.roll(shift, 0).numpy() for shift in ((0,) if given.small else (0, 3, -3))]

explainer = FourierExplainer.from_pretrained(MODEL, task="image-segmentation")
results = list(explainer.explain_dataset(SCANS, given.run, fractions=[0.001, 0.01, 0.04, 0.1, 0.3], target="brain"))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for stop in results[0].curve.of("keep"):
    print(
        f"the top {stop.fraction:.1%} of the features alone: Dice {stop.agreement:.3f} with the mask of the whole scan"
    )

evaluation = explainer.evaluate(
    SCANS, methods=["tracking"], metrics=["dice_retention"], targets=["brain"] * len(SCANS), groups=[0] * len(SCANS)
)
print(evaluation.summary(["dice_retention"]))

folder = Report(results, evaluation=evaluation).save(given.out, include_inputs=True)
print(f"report: {folder}")
