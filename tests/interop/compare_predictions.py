"""Compares an exported model under `transformers` with `shoal predict`: see tests/interop/load_export."""

import argparse
import json
import subprocess
import sys

import torch
import transformers

TEXTS = ["a ferry arrives at the station before noon", "two eggs and some flour", "", "caf\u00e9 \U0001F600 x" * 40]
# For models of words, whose texts have spaces around each word.
WORDS = ["Ada Lovelace lives in Quito .", "nobody saw Otto in Bonn", "x", "caf\u00e9 Mary went to Paris , again"]
QUESTIONS = ["Where does Ada live?\tAda keeps bees. The house is red. Ada moved to Kyoto in 1973.",
             "When?\tcaf\u00e9 \U0001F600 x, (1994) ...", "What does Emil keep?\tEmil keeps hens.  "]
TOLERANCE = 1e-4


def predict_with_shoal(shoal, model, texts, labels=None):
    """A JSON object for each text, or pair of texts with a tab between them."""
    command = [shoal, "predict", model, "--json"] + (["--top", str(labels)] if labels else [])
    command += ["--pairs"] if any("\t" in text for text in texts) else []
    output = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def spans_with_transformers(model, tokenizer, text):
    """[(label, begin, end, value)] of IOB2 tags; a word's tag is that of its first token."""
    words = text.split()
    inputs = tokenizer(words, is_split_into_words=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        probabilities = model(**inputs).logits[0].double().softmax(-1)
    first = {}
    for at, word in enumerate(inputs.word_ids(0)):
        if word is not None:
            first.setdefault(word, at)
    spans, place, open_label = [], 0, None
    for number, word in enumerate(words):
        begin = text.index(word, place)
        place = begin + len(word)
        value, tag = probabilities[first[number]].max(-1)
        kind, _, label = model.config.id2label[tag.item()].partition("-")
        if kind == "I" and label == open_label:
            spans[-1][2] = place
            spans[-1][3].append(value.item())
        elif kind in ("B", "I"):
            spans.append([label, begin, place, [value.item()]])
        open_label = label if kind != "O" else None
    return [(label, begin, end, sum(values) / len(values)) for label, begin, end, values in spans]


def compare_spans(arguments, texts):
    model = transformers.AutoModelForTokenClassification.from_pretrained(arguments.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    worst = 0.0
    for text, line in zip(texts, predict_with_shoal(arguments.shoal, arguments.model, texts), strict=True):
        ours = [(span["label"], span["begin"], span["end"], span["value"]) for span in line["spans"]]
        theirs = spans_with_transformers(model, tokenizer, text)
        same = [span[:3] for span in ours] == [span[:3] for span in theirs]
        difference = max([abs(a[3] - b[3]) for a, b in zip(ours, theirs)], default=0.0) if same else float("inf")
        worst = max(worst, difference)
        print(f"{difference:.1e}  {len(ours)} spans  {text[:60]!r}")
    return worst


def answers_with_transformers(model, tokenizer, question, text):
    """The probability of each place (begin, end) in the text, and of (0, 0), no answer; for texts that are not cut."""
    inputs = tokenizer(question, text, return_offsets_mapping=True, return_tensors="pt")
    places, sources = inputs.pop("offset_mapping")[0].tolist(), inputs.sequence_ids(0)
    with torch.no_grad():
        output = model(**inputs)
    first, last = output.start_logits[0].double().tolist(), output.end_logits[0].double().tolist()
    tokens = [at for at, source in enumerate(sources) if source == 1]
    scores = {(0, 0): first[0] + last[0]}
    for number, begin in enumerate(tokens):
        for end in tokens[number:number + 30]:
            part = text[places[begin][0]:places[end][1]]
            place = places[begin][0] + len(part) - len(part.lstrip()), places[begin][0] + len(part.rstrip())
            scores[place] = max(scores.get(place, -float("inf")), first[begin] + last[end])
    return dict(zip(scores, torch.tensor(list(scores.values()), dtype=torch.float64).softmax(0).tolist()))


def compare_answers(arguments, texts):
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(arguments.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    worst = 0.0
    for text, line in zip(texts, predict_with_shoal(arguments.shoal, arguments.model, texts, 100), strict=True):
        theirs = answers_with_transformers(model, tokenizer, *text.split("\t"))
        difference = max(abs(span["value"] - theirs.get((span["begin"], span["end"]), 0)) for span in line["spans"])
        worst = max(worst, difference)
        print(f"{difference:.1e}  {line['spans'][0]['text']!r}  {text[:60]!r}")
    return worst


def predict_with_transformers(model, tokenizer, text):
    inputs = tokenizer(*text.split("\t"), truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0].double()
    kind = model.config.problem_type or "single_label_classification"
    values = {"single_label_classification": lambda x: x.softmax(-1), "multi_label_classification": torch.sigmoid,
              "regression": lambda x: x}[kind](logits)
    return {model.config.id2label[i]: value for i, value in enumerate(values.tolist())}


def compare_labels(arguments, texts):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(arguments.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    worst = 0.0
    for text, line in zip(texts, predict_with_shoal(arguments.shoal, arguments.model, texts, model.config.num_labels), strict=True):
        values = {prediction["label"]: prediction["value"] for prediction in line["predictions"]}
        theirs = predict_with_transformers(model, tokenizer, text)
        difference = max(abs(values[label] - theirs[label]) for label in theirs)
        worst = max(worst, difference)
        print(f"{difference:.1e}  {text[:60]!r}")
    return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shoal", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("texts", nargs="*")
    args = parser.parse_args()
    kind = transformers.AutoConfig.from_pretrained(args.model).architectures[0].partition("For")[2]
    compare, texts = {"TokenClassification": (compare_spans, WORDS), "QuestionAnswering": (compare_answers, QUESTIONS)}.get(
        kind, (compare_labels, TEXTS))
    worst = compare(args, args.texts or texts)
    print(f"worst difference {worst:.1e}, tolerance {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
