"""Writes what seqeval 1.2.2 finds in tag sequences: tasks/entity_cases.tsv and tasks/entity_reports.tsv.

    pip install seqeval==1.2.2
    python3 tests/interop/make_entity_cases.py tasks                     # the tables in the tree
    python3 tests/interop/make_entity_cases.py out/entity_cases --cases 20000   # as many more as wanted

tasks/entities_test.cc checks the tables in the tree, and those in the folder $SHOAL_ENTITY_CASES.
"""

import argparse
import importlib.metadata
import math
import pathlib
import random
import sys
import warnings

from seqeval import scheme
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities

# How entities are extracted, the letters of the tags, and seqeval's scheme. IO is not one of them: IOB1 without B.
RULES = [
    ("lenient", "BIES", None),
    ("IO", "I", scheme.IOB1),
    ("IOB1", "BI", scheme.IOB1),
    ("IOB2", "BI", scheme.IOB2),
    ("IOE1", "EI", scheme.IOE1),
    ("IOE2", "EI", scheme.IOE2),
    ("IOBES", "BIES", scheme.IOBES),
    ("BILOU", "BILU", scheme.BILOU),
]
TYPES = ["PER", "LOC", "creative-work"]


def random_tags(rng, letters, length):
    """Tags that form entities more often than by chance, but break the rules of every scheme too."""
    tags = []
    for _ in range(length):
        if rng.random() < 0.2:
            tags.append("O")
        elif tags and tags[-1] != "O" and rng.random() < 0.6:
            tags.append(rng.choice(letters) + tags[-1][1:])
        else:
            tags.append(f"{rng.choice(letters)}-{rng.choice(TYPES)}")
    return tags


def changed(rng, letters, tags):
    """The prediction of a model that is right more often than not."""
    return [tag if rng.random() < 0.85 else random_tags(rng, letters, 1)[0] for tag in tags]


def entities(tags, seqeval_scheme):
    """The entities as TYPE:BEGIN:END, with the end exclusive."""
    if seqeval_scheme is None:
        found = [(kind, begin, last + 1) for kind, begin, last in get_entities(tags)]
    else:
        found = [(e.tag, e.start, e.end) for e in scheme.Entities([tags], seqeval_scheme).entities[0]]
    return " ".join(f"{kind}:{begin}:{end}" for kind, begin, end in found)


def report(truth, predicted, seqeval_scheme):
    """The rows of classification_report, as NAME PRECISION RECALL F1 SUPPORT."""
    options = dict(mode="strict", scheme=seqeval_scheme) if seqeval_scheme else {}
    rows = classification_report(truth, predicted, output_dict=True, zero_division=0, **options)
    return " | ".join(
        " ".join([name.replace(" avg", "")] +
                 # The mean of no types is a NaN in some rows and 0 in others.
                 [f"{0 if math.isnan(row[key]) else row[key]:.6f}" for key in ("precision", "recall", "f1-score")] +
                 [str(row["support"])])
        for name, row in rows.items())


def write(path, header, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in [header] + rows:
            print(*row, sep="\t", file=file)


def entity_cases(rng, count):
    rows = []
    for name, letters, seqeval_scheme in RULES:
        # Every pair of tags, which are most of the rules, then longer sentences.
        tags = ["O"] + [f"{letter}-{kind}" for letter in letters for kind in TYPES[:2]]
        sentences = [[a, b] for a in tags for b in tags] if len(tags) < 6 else []
        sentences += [random_tags(rng, letters, rng.randrange(1, 13)) for _ in range(count)]
        rows += [(name, " ".join(s), entities(s, seqeval_scheme)) for s in sentences]
    return rows


def report_cases(rng, count):
    rows = []
    for name, letters, seqeval_scheme in RULES:
        for case in range(count):
            # The first have no entities in truth, or prediction, or both.
            truth = [["O"] * 4 if case in (0, 1) else random_tags(rng, letters, rng.randrange(1, 9))
                     for _ in range(rng.randrange(1, 5))]
            predicted = [["O"] * len(s) if case in (1, 2) else changed(rng, letters, s) for s in truth]
            rows.append((name, " | ".join(map(" ".join, truth)), " | ".join(map(" ".join, predicted)),
                         report(truth, predicted, seqeval_scheme)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--cases", type=int, default=12,
                        help="sentences of each rule, and twice the number of reports (default: 12)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    version = importlib.metadata.version("seqeval")
    if version != "1.2.2":
        sys.exit(f"seqeval is {version}; expected 1.2.2")
    warnings.simplefilter("ignore")  # of divisions by zero
    rng = random.Random(arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write(arguments.folder / "entity_cases.tsv", ("rule", "tags", "entities"), entity_cases(rng, arguments.cases))
    write(arguments.folder / "entity_reports.tsv", ("rule", "truth", "predicted", "report"),
          report_cases(rng, arguments.cases // 2))


if __name__ == "__main__":
    main()
