"""Which method for my model? Methods, domains and controls on the same examples, with intervals.

    .venv/bin/python recipes/compare_methods.py

Yours: change MODEL (--model), EXAMPLES and METHODS. About four minutes on two cores.
Read the gaps to `magnitude`, which uses no model, and selectivity: own decisions kept minus wrong labels reached.
The same with other libraries beside it is `python -m benchmarks compare`.
"""

from options import first_goes_on, options

from benchmarks import assets
from hf_fourier import FourierExplainer, Report

given = options(__doc__, out="hf-fourier-compare-methods")
first_goes_on()  # nothing here is shared among processes
MODEL = given.model or assets.get("fashion-vit")
EXAMPLES = [one["picture"] for one in assets.fashion("test", 8 if given.small else 40)]
METHODS = ["tracking", "ffc", "ffc:kappa=.1", "closed_loop", "gradient_input"]
METHODS += [] if given.small else ["integrated_gradients:steps=16", "smoothgrad:samples=8", "wam:samples=8", "freqx"]
METRICS = ["dig", "maintain_rate", "selectivity"]

explainer = FourierExplainer.from_pretrained(MODEL)
evaluation = explainer.evaluate(EXAMPLES, methods=METHODS, metrics=METRICS)
print(evaluation.summary(["dig", "maintain_rate_at_0.04", "selectivity (random)"]))
for method, domain, reason in evaluation.excluded:
    print(f"left out: {method} in {domain}: {reason}")

results = explainer.explain(EXAMPLES[:8])
explainer.perturb(results, fractions=[0.01, 0.04, 0.1, 0.3])
folder = Report(results, evaluation=evaluation).save(given.out, include_inputs=True)
print(f"report: {folder}")
