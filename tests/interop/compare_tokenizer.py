"""Compares the ids of Shoal's tokenizer with those of `transformers` and SentencePiece: see tests/interop/tokenizer."""

import argparse
import random
import subprocess
import sys
import unicodedata

import sentencepiece
import transformers

ODD_TEXTS = [
    "", " ", "a", "  two  spaces ", "tab\tand\vfeeds\f", "\u2581 leading \u2581mark", "caf\u00e9 cafe\u0301",
    "\ufb01ligature \ufb01\u0301", "\uff21\uff22\uff23 \uff11\uff12\uff13", "\u00bd \u2126 \u212b", "zero\u200bwidth\u2060",
    "soft\u00adhyphen", "\ufeffbom", "e\u200b\u0301", "\u1680ogham", "\u3000wide", "nbsp\u00a0nbsp", "\u2028ls\u2029ps",
    "\U0001F468\u200D\U0001F469\u200D\U0001F467 family", "\U0001F1E9\U0001F1EA flag", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\u4f60\u597d\uff0c\u4e16\u754c", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "[CLS] text [SEP]", "[PAD][UNK][MASK]", "[CLS", "CLS]", "\u0000nul\u0001\u001f\u007f\u0080\u0085\u009f",
    "\u0323\u0301marks", "a\u0315\u0300\u05ae\u0062", "\u1e9b\u0323", "\u0130stanbul I\u0307 \u0131", "\u039f\u0394\u039f\u03a3 \u03a3 \u03a3\u03b1",
    "STRASSE stra\u00dfe STRA\u1e9eE", "\u212a \u212b \u2126 \ufb01", "\u01c5 \u10a0 \u1e9e \U00010400", "x" * 300, "\u6f22" * 200,
]


# Digits of Unicode 13 whose compatibility form `tokenizers` does not know.
EXEMPT = {chr(c) for c in range(0x1FBF0, 0x1FBFA)}


def random_texts(count, seed):
    """Texts of random characters: a few scripts, marks, controls, then any assigned characters."""
    rng = random.Random(seed)
    ranges = [(0, 0x250), (0x250, 0x700), (0x900, 0xE00), (0x1100, 0x1200), (0x1D00, 0x2C00), (0x3000, 0x3400),
              (0x4E00, 0x5200), (0xAC00, 0xAE00), (0xF900, 0x10000), (0x1D400, 0x1D800), (0x1F000, 0x20000),
              (0, 0x110000)]
    texts = []
    for _ in range(count):
        low, high = rng.choice(ranges)
        characters = (chr(rng.choice([rng.randrange(low, high), rng.randrange(32, 127), rng.randrange(0x300, 0x370)]))
                      for _ in range(rng.randrange(1, 30)))
        # A line break would end the line; surrogates are not characters.
        texts.append("".join(c for c in characters if c not in EXEMPT and c not in "\n\r"
                             and unicodedata.category(c) not in ("Cs", "Cn")))
    return texts


def shoal_ids(tokenize, model, texts):
    """The ids of each text, from Shoal's binary."""
    run = subprocess.run([tokenize, "encode", model], input="".join(t + "\n" for t in texts).encode(),
                         stdout=subprocess.PIPE, check=True)
    return [[int(i) for i in line.split()] for line in run.stdout.decode().split("\n")[:-1]]


def differing(name, texts, ours, theirs):
    """Counts the texts whose ids differ; prints the first few."""
    bad = [k for k, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    for k in bad[:5]:
        print(f"{name}: {ascii(texts[k])}\n  shoal {ours[k]}\n  {name} {theirs[k]}", file=sys.stderr)
    print(f"{name}: {len(texts)} texts, {len(bad)} differ")
    return len(bad)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenize", required=True, help="Shoal's binary")
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--export", required=True, help="the exported folder")
    parser.add_argument("--lines", required=True, help="text file; its lines are compared")
    options = parser.parse_args()

    with open(options.lines, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    texts = lines + ODD_TEXTS + random_texts(5000, seed=1)
    ours = shoal_ids(options.tokenize, options.model, texts)
    assert len(ours) == len(texts)

    tokenizer = transformers.AutoTokenizer.from_pretrained(options.export)
    failures = differing("transformers", texts, ours, tokenizer(texts)["input_ids"])
    short = tokenizer(texts, truncation=True, max_length=16)["input_ids"]
    failures += differing("transformers, cut to 16", texts, [i if len(i) <= 16 else i[:15] + i[-1:] for i in ours], short)

    # SentencePiece does not know Shoal's normalization: it gets ASCII lines with single spaces, which need none.
    plain = [(t, i) for t, i in zip(texts, ours) if t.isascii() and t.isprintable() and t == " ".join(t.split())]
    processor = sentencepiece.SentencePieceProcessor(model_file=options.model)
    theirs = [[processor.bos_id(), *processor.encode(t), processor.eos_id()] for t, _ in plain]
    near_ties = differing("sentencepiece", [t for t, _ in plain], [i for _, i in plain], theirs)
    if near_ties > len(plain) // 1000:  # it adds scores in float, so it may break a tie differently
        failures += near_ties
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
