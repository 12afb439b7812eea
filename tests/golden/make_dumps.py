"""Writes the reference dumps in tests/golden/dumps: see tests/golden/README.md."""

import argparse
import json
import os
import pathlib
import random
import tempfile

# Otherwise MKL and PyTorch choose their code, and with it the last bits, by the processor.
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ATEN_CPU_CAPABILITY"] = "default"

import peft
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

# Tokens of each example. Kernels work on 16 elements at a time: one row is longer than that and none is a multiple. The
# one-token example attends to itself only, and a language model has nothing to predict in it.
LENGTHS = (19, 1, 8, 13)

# 18 channels are two heads of 9, or three of 6: no width in a model is a multiple of 16, or of 8. Some rows of the
# tables of words and positions are used by no example. A larger layer_norm_eps than usual changes the results by far
# more than the test tolerates, so misreading it shows.
ENCODER = dict(vocab_size=37, hidden_size=18, num_attention_heads=2, num_hidden_layers=2, intermediate_size=21,
               max_position_embeddings=21, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
ROBERTA = ENCODER | dict(type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, max_position_embeddings=23,
                         layer_norm_eps=1e-3)

# Name: the model's class, its configuration, and whether its inputs have token types.
DUMPS = {
    "bert_sequence": (transformers.BertForSequenceClassification, ENCODER | dict(num_labels=3), True),
    "bert_regression": (transformers.BertForSequenceClassification,
                        ENCODER | dict(num_labels=1, problem_type="regression", num_hidden_layers=1,
                                       num_attention_heads=3, hidden_act="gelu_new"), True),
    "bert_multilabel": (transformers.BertForSequenceClassification,
                        ENCODER | dict(num_labels=4, problem_type="multi_label_classification", num_hidden_layers=1,
                                       layer_norm_eps=1e-3), False),
    "bert_token": (transformers.BertForTokenClassification,
                   ENCODER | dict(num_labels=5, num_hidden_layers=1, layer_norm_eps=1e-3), False),
    "bert_mlm": (transformers.BertForMaskedLM,
                 ENCODER | dict(num_hidden_layers=1, layer_norm_eps=1e-3, hidden_act="gelu_new"), True),
    "bert_qa": (transformers.BertForQuestionAnswering,
                ENCODER | dict(num_hidden_layers=1, layer_norm_eps=1e-3), True),
    "distilbert_qa": (transformers.DistilBertForQuestionAnswering,
                      dict(vocab_size=37, dim=18, n_heads=2, n_layers=1, hidden_dim=21, max_position_embeddings=21,
                           dropout=0.0, attention_dropout=0.0, qa_dropout=0.0), False),
    "distilbert_mlm": (transformers.DistilBertForMaskedLM,
                       dict(vocab_size=37, dim=18, n_heads=2, n_layers=1, hidden_dim=21, max_position_embeddings=21,
                            dropout=0.0, attention_dropout=0.0), False),
    "roberta_prelayernorm_sequence": (transformers.RobertaPreLayerNormForSequenceClassification,
                                      ROBERTA | dict(num_labels=3), False),
    "roberta_sequence": (transformers.RobertaForSequenceClassification,
                         ROBERTA | dict(num_labels=3, num_hidden_layers=1), False),
    "distilbert_sequence": (transformers.DistilBertForSequenceClassification,
                            dict(vocab_size=37, dim=18, n_heads=2, n_layers=2, hidden_dim=21,
                                 max_position_embeddings=21, dropout=0.0, attention_dropout=0.0,
                                 seq_classif_dropout=0.0, num_labels=3), False),
    "electra_sequence": (transformers.ElectraForSequenceClassification,
                         ENCODER | dict(num_labels=3, embedding_size=18, num_hidden_layers=1, layer_norm_eps=1e-3,
                                        hidden_act="gelu_new"), True),
    "gpt2_causal": (transformers.GPT2LMHeadModel,
                    dict(vocab_size=37, n_embd=18, n_head=2, n_layer=2, n_inner=21, n_positions=21, pad_token_id=0,
                         bos_token_id=1, eos_token_id=2, layer_norm_epsilon=1e-3, embd_pdrop=0.0, resid_pdrop=0.0,
                         attn_pdrop=0.0), False),
}

# Name: the model's class, its configuration, and that of its low-rank additions.
LORA_DUMPS = {
    "bert_token_lora": (transformers.BertForTokenClassification,
                        ENCODER | dict(num_labels=5, layer_norm_eps=1e-3), "token",
                        dict(task_type="TOKEN_CLS", r=3, lora_alpha=5,
                             target_modules=["query", "value", "attention.output.dense", "intermediate.dense"])),
    "gpt2_causal_lora": (*DUMPS["gpt2_causal"][:2], "causal",
                         dict(task_type="CAUSAL_LM", r=2, lora_alpha=6, fan_in_fan_out=True,
                              target_modules=["c_attn", "c_proj"])),
}

STEPS = 10
TRAINING = {
    "optimizer": "adamw",
    "lr": 0.002,
    "betas": [0.9, 0.98],
    "eps": 1e-8,
    "weight_decay": 0.1,
    "no_decay": "1-D tensors: biases, and the weights of norms",
    "clip_global_norm": 1.0,
    "schedule": "lr(i) = lr * min((i+1)/3, (10-i)/7) for update i = 0..9",
    "steps": STEPS,
}


def fill(model, rng):
    """Gives every parameter random values, so that none has a trivial one (zeros for biases, ones for norms)."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    ones = {id(norm.weight) for norm in norms}
    with torch.no_grad():
        for parameter in model.parameters():
            middle = 1.0 if id(parameter) in ones else 0.0
            values = [middle + rng.uniform(-0.45, 0.45) for _ in range(parameter.numel())]
            parameter.copy_(torch.tensor(values, dtype=torch.float64).reshape(parameter.shape))


def make_inputs(config, head, with_types, rng):
    """A batch by the model's argument names, padded on the right."""
    batch, longest = len(LENGTHS), max(LENGTHS)
    ids = torch.full((batch, longest), config.pad_token_id)
    mask = torch.zeros((batch, longest), dtype=torch.int64)
    types = torch.zeros((batch, longest), dtype=torch.int64)
    for row, length in enumerate(LENGTHS):
        # Ids from 3 on: RoBERTa recognizes padding by its id.
        ids[row, :length] = torch.tensor([rng.randrange(3, config.vocab_size) for _ in range(length)])
        mask[row, :length] = 1
        types[row, length // 2:length] = 1
    inputs = {"input_ids": ids, "attention_mask": mask}
    if with_types:
        inputs["token_type_ids"] = types
    if head == "causal":
        inputs["labels"] = ids.masked_fill(mask == 0, -100)
    elif head in ("token", "mlm"):
        # Without a label: padding, and every third token.
        labels = torch.arange(batch * longest).reshape(batch, longest)
        inputs["labels"] = (labels % (config.num_labels if head == "token" else config.vocab_size)).masked_fill((mask == 0) | (labels % 3 == 0), -100)
    elif head == "qa":
        # The second example has one token, and the third starts and ends its span with the same one.
        inputs["start_positions"] = torch.tensor([3, 0, 5, 0])
        inputs["end_positions"] = torch.tensor([18, 0, 5, 7])
    elif config.problem_type == "regression":
        inputs["labels"] = torch.tensor([[rng.uniform(-2, 2)] for _ in LENGTHS])
    elif config.problem_type == "multi_label_classification":
        inputs["labels"] = torch.tensor([[float((row + label) % 3 == 0) for label in range(config.num_labels)]
                                         for row in range(batch)])
    else:
        inputs["labels"] = torch.tensor([row % config.num_labels for row in range(batch)])
    return inputs


def loss_of(config, head, logits, labels):
    """The model's own loss, without the cast of a language model's logits to float32 in `transformers`."""
    if head == "causal":
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    if head in ("token", "mlm"):
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    if head == "qa":
        return (F.cross_entropy(logits[..., 0], labels[:, 0]) + F.cross_entropy(logits[..., 1], labels[:, 1])) / 2
    if config.problem_type == "regression":
        return F.mse_loss(logits, labels.double())
    if config.problem_type == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.double())
    return F.cross_entropy(logits, labels)


def save(path, tensors):
    save_file({name: t.detach().float() if t.is_floating_point() else t for name, t in tensors.items()}, path)


def save_model(model, folder, names=("config.json", "model.safetensors")):
    """Writes only these of the files that `save_pretrained` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as everything:
        model.save_pretrained(everything)
        for name in names:
            (folder / name).write_bytes((pathlib.Path(everything) / name).read_bytes())


def train(parameters, run, reference):
    """Ten updates; writes the losses, and the gradient norms, to `reference`."""
    decayed = [p for p in parameters.values() if p.dim() > 1]
    others = [p for p in parameters.values() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": TRAINING["weight_decay"]},
                                   {"params": others, "weight_decay": 0.0}],
                                  betas=tuple(TRAINING["betas"]), eps=TRAINING["eps"], foreach=False)
    reference |= {"losses": [], "grad_norms": []}
    for step in range(STEPS):
        loss, _ = run()
        norm = gradient_norm(parameters)
        reference["losses"].append(loss.item())
        reference["grad_norms"].append(norm)
        for parameter in parameters.values():
            parameter.grad *= min(1.0, TRAINING["clip_global_norm"] / norm)
        for group in optimizer.param_groups:
            group["lr"] = TRAINING["lr"] * min((step + 1) / 3, (STEPS - step) / 7)
        optimizer.step()
    reference["losses"].append(run()[0].item())


def gradient_norm(parameters):
    return torch.sqrt(sum((p.grad**2).sum() for p in parameters.values())).item()


def dump_lora(name, folder):
    model_class, fields, head, lora = LORA_DUMPS[name]
    rng = random.Random(name)
    config = model_class.config_class(**fields, attn_implementation="eager")
    base = model_class(config).eval()
    fill(base, rng)
    save_model(base, folder / "base")
    model = peft.get_peft_model(base, peft.LoraConfig(lora_dropout=0.0, **lora)).eval()
    parameters = {key: p for key, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in parameters.values():
            values = [rng.uniform(-0.45, 0.45) for _ in range(parameter.numel())]
            parameter.copy_(torch.tensor(values, dtype=torch.float64).reshape(parameter.shape))
    save_model(model, folder / "adapter", ("adapter_config.json", "adapter_model.safetensors"))
    path = folder / "adapter" / "adapter_config.json"
    adapter = json.loads(path.read_text())
    adapter["target_modules"].sort()  # PEFT keeps them in a set
    path.write_text(json.dumps(adapter, indent=2) + "\n")
    inputs = make_inputs(config, head, head == "token", rng)
    save(folder / "inputs.safetensors", inputs)
    model.double()

    def run():
        model.zero_grad()
        logits = model(**{key: value for key, value in inputs.items() if key != "labels"}).logits
        loss = loss_of(config, head, logits, inputs["labels"])
        loss.backward()
        return loss, logits

    loss, logits = run()
    save(folder / "outputs.safetensors", {"loss": loss.reshape(1), "logits": logits})
    save(folder / "grads.safetensors", {key.replace(".default", ""): p.grad for key, p in parameters.items()})
    reference = {
        "model_class": model_class.__name__,
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "peft": peft.__version__,
        "loss": loss.item(),
        "training": TRAINING,
    }
    train(parameters, run, reference)
    save_model(model.merge_and_unload().float(), folder / "merged_after_training")
    (folder / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


def dump(name, folder):
    model_class, fields, with_types = DUMPS[name]
    rng = random.Random(name)
    config = model_class.config_class(**fields, attn_implementation="eager")
    model = model_class(config).eval()
    fill(model, rng)
    save_model(model, folder)

    head = name.split("_")[-1]
    inputs = make_inputs(config, head, with_types, rng)
    names = ("start_positions", "end_positions") if head == "qa" else ("labels",)
    labels = torch.stack([inputs[n] for n in names], dim=-1) if head == "qa" else inputs["labels"]
    save(folder / "inputs.safetensors", inputs)

    model.double()
    parameters = dict(model.named_parameters())

    def run():
        """The loss and the logits; the gradients are left in the parameters."""
        model.zero_grad()
        outputs = model(**{key: value for key, value in inputs.items() if key not in names})
        logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1) if head == "qa" else outputs.logits
        assert logits.dtype == torch.float64
        loss = loss_of(config, head, logits, labels)
        loss.backward()
        return loss, logits

    loss, logits = run()
    theirs = model(**{key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}).loss
    assert abs(theirs.item() - loss.item()) < 1e-6 * loss.item(), (name, theirs.item(), loss.item())
    save(folder / "outputs.safetensors", {"loss": loss.reshape(1)} | (
        {"start_logits": logits[..., 0].contiguous(), "end_logits": logits[..., 1].contiguous()} if head == "qa" else {"logits": logits}))
    save(folder / "grads.safetensors", {key: p.grad for key, p in parameters.items()})
    reference = {
        "model_class": model_class.__name__,
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "loss": loss.item(),
        "grad_global_norm": gradient_norm(parameters),
        "training": TRAINING,
    }
    train(parameters, run, reference)
    save(folder / "trained.safetensors", parameters)
    (folder / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


def main():
    known = [*DUMPS, *LORA_DUMPS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent / "dumps",
                        help="the folder to write to (default: dumps next to this script)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"dumps to make (default: all): {', '.join(known)}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"no dump is called {', '.join(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in arguments.names or known:
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        (dump if name in DUMPS else dump_lora)(name, folder)
        print(f"{folder}: {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())} bytes")


if __name__ == "__main__":
    main()
