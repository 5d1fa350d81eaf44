"""Why this word next? Frequencies along the words of a prompt.

    .venv/bin/python recipes/language_model.py
    .venv/bin/accelerate launch recipes/language_model.py          # as many processes as are configured

Yours: change MODEL (or pass --model) and PROMPTS. About two minutes on two cores.
Offline, MODEL is SmolLM2-135M, an instruction-tuned language model.
"""

from options import first_goes_on, options

from benchmarks import assets
from hf_fourier import FourierExplainer, Report
from hf_fourier.scoring.targets import Contrast

given = options(__doc__, out="hf-fourier-language-model")
MODEL = given.model or assets.get("smollm2")
PROMPTS = [  # with the word that is expected, and one that is not
    ("The capital of France is", " Paris", " London"),
    ("The opposite of hot is", " cold", " warm"),
    ("Water boils at one hundred degrees and freezes at", " zero", " ten"),
    ("She opened her umbrella because it began to", " rain", " sing"),
    ("Two plus two equals", " four", " five"),
    ("The cat chased the", " mouse", " moon"),
][: 2 if given.small else None]
texts = [prompt for prompt, _, _ in PROMPTS]

explainer = FourierExplainer.from_pretrained(MODEL)
for prompt in texts:
    said = explainer.predict(prompt)
    print(f"{prompt!r} goes on {said.label!r} ({said.confidence:.2f})")

# One word rather than another: the difference of their log-probabilities is explained.
rather = [Contrast(good, bad) for _, good, bad in PROMPTS]
results = list(explainer.explain_dataset(texts, given.run, fractions=[0.02, 0.04, 0.1, 0.3], targets=rather))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for result in results:
    print(f"{result.label}: {result.value:+.2f}")
    print(result.input_relevance(0.1).top(3))

# The next word itself, beside rankings that ask no model.
evaluation = explainer.evaluate(texts, methods=["tracking"], metrics=["dig", "maintain_rate"])
print(evaluation.summary(["dig", "maintain_rate_at_0.04"]))

folder = Report(results, evaluation=evaluation).save(given.out, include_inputs=True)
print(f"report: {folder}")
