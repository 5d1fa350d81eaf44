"""Which genes, and which patterns over a cell's ranked genes, does a cell classifier go by?

    .venv/bin/python recipes/geneformer_cells.py
    .venv/bin/accelerate launch recipes/geneformer_cells.py          # as many processes as are configured

Yours: change MODEL (--model ctheodoris/Geneformer, with `subfolder=` below) and CELLS ("cells.h5ad").
About a minute on two cores. Offline, MODEL is a small stand-in for Geneformer, which it is not: the same architecture
and code path with four layers, trained here on 549 blood cells.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-geneformer-cells")
MODEL = given.model or demo.get("pbmc-geneformer")
CELLS = demo.cells("test")[: 4 if given.small else 32]

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(CELLS, given.run, fractions=[0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for result, cell in list(zip(results, CELLS, strict=True))[:2]:
    print(f"{cell['name']}: {result.label} ({result.confidence:.2f}), in truth {cell['label']}")
    print(result.genes(0.3).to_pandas().head(5).to_string(index=False))

# The genes of all cells by their evidence for and against the labels, tested by type: what suffices, and what falls.
# `groupby="cell_type"` where CELLS is an AnnData or its file; `scores.to_anndata(adata)` puts all of it back there.
scores = explainer.genes(CELLS, groupby=[cell["label"] for cell in CELLS], fractions=[0.04, 0.3])
print(scores.table()[:10], scores.curve_table(), sep="\n\n")
if not given.small:
    print(scores.compare()[:10])

METHODS = ["tracking"] if given.small else ["tracking", "ffc"]
metrics = ["maintain_rate", "selectivity"]
evaluation = explainer.evaluate(CELLS, methods=METHODS, metrics=metrics)
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

names = [cell["name"] for cell in CELLS]
folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print(f"report: {folder}")
