"""Which spatial frequencies does a classifier of pictures go by?

    .venv/bin/python recipes/image_classification.py
    .venv/bin/accelerate launch recipes/image_classification.py          # as many processes as are configured

Yours: change MODEL (--model, a Hub id such as google/vit-base-patch16-224) and PICTURES. About three minutes on two
cores. Offline, MODEL is EfficientNet-lite0 for ImageNet, and PICTURES are six photographs.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-image-classification")
MODEL = given.model or demo.get("efficientnet-lite0")
names, PICTURES = zip(*demo.pictures()[: 2 if given.small else None], strict=True)

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(list(PICTURES), given.run, fractions=[0.01, 0.02, 0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for name, result in zip(names, results, strict=True):
    kept = [f"{stop.fraction:.0%}" for stop in result.curve.of("keep") if stop.agreement == 1]
    print(f"{name}: {result.label} ({result.confidence:.2f}); kept by the top {', '.join(kept) or 'none of these'}")

methods = ["tracking"] if given.small else ["tracking", "ffc"]
evaluation = explainer.evaluate(list(PICTURES), methods=methods, metrics=["maintain_rate", "selectivity"])
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)", "selectivity (runner-up)"]))

folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print(f"report: {folder}")
