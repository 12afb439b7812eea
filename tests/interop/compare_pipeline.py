"""Compares Shoal's tokenizers with Hugging Face's `tokenizers` on the lines of a text file and on unusual Unicode, and
times both. Needs `pip install tokenizers==0.23.3`:

    bazel build //model/tokenizer/pipeline:encode
    python3 tests/interop/compare_pipeline.py bazel-bin/model/tokenizer/pipeline/encode tokenizer.json LINES [--time]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402  (after its environment)

ROUNDS = 5


def random_texts(count, seed):
    """Texts of random assigned characters, half of them near each other."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        low = rng.choice([0, 0x300, 0x900, 0x1100, 0x2000, 0x3000, 0x4E00, 0xAC00, 0xF900, 0x1D400, 0x1F000])
        codes = (rng.choice([rng.randrange(low, low + 0x180), rng.randrange(32, 127)]) for _ in range(rng.randrange(40)))
        texts.append("".join(chr(c) for c in codes if unicodedata.category(chr(c)) not in ("Cs", "Cn")))
    return texts


def differences(encode, file, texts):
    """Counts the texts whose encodings differ; prints the first few."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    run = subprocess.run([encode, "json", file], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    reference = tokenizers.Tokenizer.from_file(file)
    bad = 0
    for text, line in zip(texts, run.stdout.decode().split("\n")):
        encoding, ours = reference.encode(text), json.loads(line)
        theirs = {"ids": encoding.ids, "type_ids": encoding.type_ids, "offsets": [list(o) for o in encoding.offsets],
                  "decoded": reference.decode(encoding.ids)}
        fields = [field for field in theirs if theirs[field] != ours[field]]
        bad += bool(fields)
        if fields and bad <= 5:
            print(f"{ascii(text)}\n  {fields[0]}: shoal {ours[fields[0]]}\n  tokenizers {theirs[fields[0]]}", file=sys.stderr)
    return bad


def tokens_per_second(encode, file, path, lines):
    """Tokens per second of CPU time, ours and theirs by turns: a list for each."""
    reference = tokenizers.Tokenizer.from_file(file)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        begin = time.process_time()
        tokens = sum(len(reference.encode(line).ids) for line in lines)
        theirs.append(tokens / (time.process_time() - begin))
        run = subprocess.run([encode, "json", file, "--time", "1", path], stdout=subprocess.PIPE, check=True)
        result = json.loads(run.stdout)
        ours.append(result["tokens"] / result["seconds"])
    return ours, theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encode", help="Shoal's binary")
    parser.add_argument("tokenizer", help="a tokenizer.json")
    parser.add_argument("lines", help="text file; its lines are compared")
    parser.add_argument("--time", action="store_true", help="also print tokens per second")
    options = parser.parse_args()

    with open(options.lines, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    texts = lines + random_texts(5000, seed=1)
    bad = differences(options.encode, options.tokenizer, texts)
    print(f"{options.tokenizer}: {len(texts)} texts, {bad} differ")
    if options.time:
        ours, theirs = tokens_per_second(options.encode, options.tokenizer, options.lines, [line for line in lines if line])
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(json.dumps({"tokenizer": options.tokenizer, "tokens_per_second": round(statistics.median(ours)),
                          "competitor": f"tokenizers {tokenizers.__version__}",
                          "competitor_tokens_per_second": round(statistics.median(theirs)), "ratio": round(ratio, 2)}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
