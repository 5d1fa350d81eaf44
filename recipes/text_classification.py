"""Which frequencies along its words does a text classifier go by?

    .venv/bin/python recipes/text_classification.py
    .venv/bin/accelerate launch recipes/text_classification.py          # as many processes as are configured

Yours: change MODEL (or pass --model, a Hub id or a folder) and TEXTS. About a minute on two cores.
Offline, MODEL is a MiniLM that tells spam from ham, and TEXTS are e-mails that it has not seen.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-text-classification")
MODEL = given.model or demo.get("minilm-spam")
TEXTS = [text[:300] for text, _ in demo.emails("test")][: 4 if given.small else 32]

explainer = FourierExplainer.from_pretrained(MODEL)
how = {"fractions": [0.01, 0.02, 0.04, 0.1, 0.3], "contributions": 4}
results = list(explainer.explain_dataset(TEXTS, given.run, **how))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
print(results[0].input_relevance().top(8))  # evidence for or against the answer, word by word

# Does the ranking add anything to one that does not use the model, and does it reach wrong labels too?
METHODS = ["tracking"] if given.small else ["tracking", "ffc"]
metrics = ["maintain_rate", "selectivity"]
evaluation = explainer.evaluate(TEXTS, methods=METHODS, metrics=metrics)
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

folder = Report(results, evaluation=evaluation).save(given.out, include_inputs=True)
print(f"report: {folder}")
