"""Compares an exported model under `transformers` with `shoal predict`: see tests/interop/load_export."""

import argparse
import json
import subprocess
import sys

import torch
import transformers

TEXTS = ["a ferry arrives at the station before noon", "two eggs and some flour", "", "caf\u00e9 \U0001F600 x" * 40]
TOLERANCE = 1e-4


def predict_with_shoal(shoal, model, texts, labels):
    command = [shoal, "predict", model, "--json", "--top", str(labels)]
    output = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in output.splitlines()]
    return [{p["label"]: p["value"] for p in line["predictions"]} for line in lines]


def predict_with_transformers(model, tokenizer, text):
    inputs = tokenizer(text, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0].double()
    kind = model.config.problem_type or "single_label_classification"
    values = {"single_label_classification": lambda x: x.softmax(-1), "multi_label_classification": torch.sigmoid,
              "regression": lambda x: x}[kind](logits)
    return {model.config.id2label[i]: value for i, value in enumerate(values.tolist())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shoal", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("texts", nargs="*")
    args = parser.parse_args()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(args.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    texts = args.texts or TEXTS
    worst = 0.0
    ours = predict_with_shoal(args.shoal, args.model, texts, model.config.num_labels)
    for text, values in zip(texts, ours, strict=True):
        theirs = predict_with_transformers(model, tokenizer, text)
        difference = max(abs(values[label] - theirs[label]) for label in theirs)
        worst = max(worst, difference)
        print(f"{difference:.1e}  {text[:60]!r}")
    print(f"worst difference {worst:.1e}, tolerance {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
