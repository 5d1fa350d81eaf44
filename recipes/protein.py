"""Which residues, and which periods along the chain, does a protein model go by?

    .venv/bin/python recipes/protein.py
    .venv/bin/accelerate launch recipes/protein.py          # as many processes as are configured

Yours: change MODEL (--model, a Hub id such as a fine-tuned ESM) and SEQUENCES. About two minutes on two cores.
Offline, MODEL is AntiBERTy's own head for the species of an antibody, on well-known antibodies.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-protein")
MODEL = given.model or demo.get("antiberty-species")
ANTIBODIES = demo.antibodies()[: 2 if given.small else None]
SEQUENCES = [one["sequence"] for one in ANTIBODIES]

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(SEQUENCES, given.run, fractions=[0.02, 0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for one, result in zip(ANTIBODIES, results, strict=True):
    print(f"{one['name']}: {result.label} ({result.confidence:.2f}), in truth {one['species']}")
print(results[0].top_features(5))  # cycles per residue: 0.28 is the turn of a helix, 0.5 a strand's two sides
print(results[0].input_relevance(0.04).top(8))

evaluation = explainer.evaluate(SEQUENCES, methods=["tracking"], metrics=["maintain_rate", "selectivity"])
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

names = [one["name"] for one in ANTIBODIES]
folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print(f"report: {folder}")
