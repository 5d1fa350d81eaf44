"""Error rectification: do the top features of a mistake, deleted, correct it, and do others as well?"""

from benchmarks import assets
from hf_fourier import demo
from recipes.paper.base import Ask, Found, experiment, setting

DIFFERS = (
    "The labels in the legend of the published figure are swapped. The published numbers do not show a difference "
    'to the magnitude ("energy") either. Pictures of 28 × 28 have 2,352 degrees of freedom, so .1 % is two '
    "features; a second table has a larger budget."
)


@experiment(
    "rectification",
    "FFC: error rectification",
    ("FFC Figure 8d", "FFC Figure 11", "FFC Figure 2a"),
    DIFFERS,
    "--model timm/resnet50.tv2_in1k --data IMAGENET/val --n 50000",
)
def run(ask: Ask) -> Found:
    """Corrected mistakes by ranking, budgets and models."""
    tables, on = {}, []
    at = setting(ask, "fashion-vit", 1, small=1)
    if ask.data:
        at = setting(ask, "efficientnet-lite0", 100)
        cases = [(at.on, at, at.examples, at.labels, (0.001,))]
    else:
        clothes = assets.fashion("test", 60 if ask.small else 500)
        pictures, truth = [one["picture"] for one in clothes], [one["label"] for one in clothes]
        cases = [(f"fashion-vit, {len(clothes)} pictures", at, pictures, truth, (0.001, 0.02))]
        if not ask.small:
            mails = demo.emails("test")[:120]
            texts, said = [text[:300] for text, _ in mails], [("ham", "spam")[label] for _, label in mails]
            cases.append(
                (f"minilm-spam, {len(mails)} e-mails", setting(Ask(), "minilm-spam", 1), texts, said, (0.001,))
            )
    for title, where, examples, labels, budgets in cases:
        on.append(title)
        for budget in budgets:
            found = where.explainer.rectify(
                examples, labels, "ffc:preset=rectification", budget=budget, random_orders=5
            )
            own = where.explainer.rectify(examples, labels, "ffc", budget=budget, random_orders=1)
            columns = ("ranking", "n", "corrected", "low", "high", "features, median", "as few")
            rows = [{c: row[c] for c in columns} for row in found.summary().rows()]
            rows += [{c: row[c] for c in columns} for row in own.summary().rows() if row["ranking"] == own.method]
            tables[f"{title.partition(',')[0]}: up to {budget:.1%} deleted"] = rows
    return Found("; ".join(on), tables)
