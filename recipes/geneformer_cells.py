"""Which genes, and which patterns over a cell's ranked genes, does a cell classifier go by?

    .venv/bin/python recipes/geneformer_cells.py
    .venv/bin/accelerate launch recipes/geneformer_cells.py          # as many processes as are configured

Yours: change MODEL (--model ctheodoris/Geneformer, with `subfolder=` below) and CELLS ("cells.h5ad").
About a minute on two cores. Offline, MODEL is a small stand-in for Geneformer, which it is not: the same architecture
and code path with four layers, trained here on 549 blood cells.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes

given = options(__doc__, out="hf-fourier-geneformer-cells")
MODEL = given.model or demo.get("pbmc-geneformer")
CELLS = demo.cells("test")[: 4 if given.small else 32]

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(CELLS, given.run, fractions=[0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for result, cell in list(zip(results, CELLS, strict=True))[:2]:
    print(f"{cell['name']}: {result.label} ({result.confidence:.2f}), in truth {cell['label']}")
    print(result.genes(0.3).to_pandas().head(5).to_string(index=False))

# Take genes out of the cell instead of frequencies: the token goes and the gap closes.
shares = (0.04, 0.3)
for title, orders in (("by relevance", None), ("by rank", [list(range(len(r.names), 0, -1)) for r in results])):
    curves = delete_genes(explainer, results, shares, orders=orders, fraction=0.3)
    kept = [sum(curve.at("keep", share).agreement for curve in curves) / len(curves) for share in shares]
    print(f"decisions kept with the top {shares} of the genes {title}: {kept}")

METHODS = ["tracking"] if given.small else ["tracking", "ffc"]
metrics = ["maintain_rate", "selectivity"]
evaluation = explainer.evaluate(CELLS, methods=METHODS, metrics=metrics)
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

names = [cell["name"] for cell in CELLS]
folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print(f"report: {folder}")
