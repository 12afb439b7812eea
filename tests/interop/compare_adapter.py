"""Compares a model that Shoal exported whole with the same one as PEFT makes it of its base and an exported adapter.

    shoal export 1 --out MODEL; shoal export 1 --out ADAPTER --adapter
    python compare_adapter.py --model MODEL --adapter ADAPTER --base BASE
"""

import argparse
import json
import pathlib

import peft
import torch
import transformers

TOLERANCE = 1e-4


def load(folder, model_class, labels):
    return model_class.from_pretrained(folder, num_labels=labels, attn_implementation="eager").eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "adapter", "base"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    config = json.loads((arguments.model / "config.json").read_text())
    model_class = getattr(transformers, config["architectures"][0])
    labels = len(config["id2label"])
    whole = load(arguments.model, model_class, labels)
    base = load(arguments.base, model_class, labels)
    adapted = peft.PeftModel.from_pretrained(base, arguments.adapter).eval()
    torch.manual_seed(1)
    ids = torch.randint(5, config["vocab_size"], (4, 17))
    with torch.no_grad():
        ours, theirs = whole(input_ids=ids).logits, adapted(input_ids=ids).logits
        untouched = load(arguments.base, model_class, labels)(input_ids=ids).logits
    worst = (ours - theirs).abs().max().item()
    print(f"{arguments.adapter}: logits differ by at most {worst:.2e}; "
          f"those of the base differ by {(ours - untouched).abs().max().item():.2e}")
    assert worst < TOLERANCE


if __name__ == "__main__":
    main()
