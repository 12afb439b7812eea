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

    def logits_of(model):
        with torch.no_grad():
            outputs = model(input_ids=ids)
        return outputs.logits if "logits" in outputs else torch.stack([outputs.start_logits, outputs.end_logits])

    ours = logits_of(whole)
    worst = (ours - logits_of(adapted)).abs().max().item()
    changed = (ours - logits_of(load(arguments.base, model_class, labels))).abs().max().item()
    print(f"{arguments.adapter}: logits differ by at most {worst:.2e}; those of the base differ by {changed:.2e}")
    assert worst < TOLERANCE < changed


if __name__ == "__main__":
    main()
