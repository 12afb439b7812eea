"""Makes model/tokenizer/pipeline/testdata/components.jsonl: for each component of tokenizer.json a tiny tokenizer, and
what Hugging Face's `tokenizers` makes of a few texts with it. Run by hand when a component is added:

    pip install tokenizers==0.23.3
    python3 tests/interop/make_tokenizer_cases.py > model/tokenizer/pipeline/testdata/components.jsonl

The first line has the models by name, every other line a tokenizer: its parts ("model" is a name), and its cases as in
../shared/tokenizers.
"""

import base64
import json
import struct

from tokenizers import Tokenizer

ALPHABET = "abcdefghijklmnopqrstuvwxyzABDEHILT \u2581'.,!?-_0123456789"
TEXTS = ["", " ", "Hello, World!", "  two  spaces ", "caf\u00e9 cafe\u0301 \u212b", "\ufb01ne \u2460 \uff21 \u00bd", "a\tb\r\nc\u00a0d",
         "\u4f60\uff0c\u754c a", "\u0130\u00df \u03a3", "don't I'LL 12345 --", "x\u200by\u0000\ufffd", "\U0001F468\u200d\U0001F469 \u1112\u1161",
         "e\u0323\u0301 \u0344", "aaaa bb \n\n c"]
ADDED_TEXTS = ["a[M]b", "a [M] b", "  [M]  ", "[M][M] [M", "xW yWz W W", "N n <N> xn", "[S] a [S]"]


def byte_characters():
    """GPT-2's character of each byte."""
    visible = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in visible]
    return {**{b: chr(b) for b in visible}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def charsmap(entries):
    """SentencePiece's map of characters, as an uncompressed double array with a node per prefix of an entry."""
    normalized, values = b"", {}
    for key, value in sorted(entries.items()):
        values[key.encode()] = len(normalized)
        normalized += value.encode() + b"\0"
    units = [0] * 4096
    used = {0}

    def place(node, prefix):
        labels = sorted({k[len(prefix)] for k in values if k.startswith(prefix) and len(k) > len(prefix)})
        children = labels + ([0] if prefix in values else [])
        base = next(b for b in range(1, 2048) if not any((node ^ b) ^ c in used for c in children))
        units[node] |= base << 10
        at = node ^ base
        used.update(at ^ c for c in children)
        if prefix in values:
            units[node] |= 1 << 8
            units[at] = 1 << 31 | values[prefix]
        for label in labels:
            units[at ^ label] = label
            place(at ^ label, prefix + bytes([label]))

    place(0, b"")
    trie = struct.pack("<4096I", *units)
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + normalized).decode()


def bpe(tokens, merges=(), **options):
    """A BPE model whose merges make tokens too."""
    prefix = options.get("continuing_subword_prefix", "")
    tokens = list(tokens) + [a + b[len(prefix):] for a, b in merges]
    return {"type": "BPE", "vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))},
            "merges": [list(m) for m in merges], **options}


BYTES = ["<0x%02X>" % b for b in range(256)]
MODELS = {
    # The text itself: a token per byte.
    "bytes": bpe(["<unk>", *BYTES], byte_fallback=True, unk_token="<unk>"),
    # The pieces: an unknown token for each.
    "pieces": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
               "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}},
    "wordpiece": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 6,
                  "vocab": {t: i for i, t in enumerate(["[UNK]", "a", "##a", "##aa", "Hello", "wor", "##ld", "two", ",", "!", "spa",
                                                        "##ces", "I", "'", "don", "t", "caf", "##e", "ok"])}},
    "bpe": bpe(["<unk>", *ALPHABET], [("l", "l"), ("H", "e"), ("ll", "o"), ("He", "llo"), ("a", "a"), ("aa", "aa"), (" ", " "),
                                      ("b", "b")], unk_token="<unk>", fuse_unk=False),
    "bpe_fused": bpe(["<unk>", *ALPHABET], [("l", "l"), ("b", "b")], unk_token="<unk>", fuse_unk=True),
    "bpe_no_unk": bpe(list(ALPHABET), [(" ", " "), ("b", "b")]),
    "bpe_affixed": bpe(["<unk>", *(p + c + s for c in ALPHABET for p in ("", "##") for s in ("", "</w>"))],
                       [("a", "##a"), ("H", "##e"), ("##l", "##l"), ("##ll", "##o</w>")], unk_token="<unk>",
                       continuing_subword_prefix="##", end_of_word_suffix="</w>"),
    "bpe_fallback": bpe(["<unk>", *BYTES, *ALPHABET], [("\u2581", "t"), ("\u2581", "\u2581"), ("a", "a")], byte_fallback=True,
                        fuse_unk=True, unk_token="<unk>"),
    "bpe_ignore_merges": {**bpe(list(ALPHABET), [("a", "a")], ignore_merges=True)},
    "bpe_byte_level": bpe(byte_characters().values(), [("\u0120", "t"), ("l", "l"), ("\u00c3", "\u00a9"), ("1", "2"), ("\u0120", "\u0120")]),
    "unigram": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                "vocab": [["<unk>", 0.0], ["\u2581", -2.5], ["a", -3.0], ["aa", -5.5], ["\u2581two", -4.0], ["s", -4.25], ["p", -4.5],
                          ["ace", -6.75], ["sp", -7.0], ["l", -3.5], ["o", -3.25], ["e", -3.125], ["H", -8.0], ["lo", -6.5]]},
    "unigram_bytes": {"type": "Unigram", "unk_id": 0, "byte_fallback": True,
                      "vocab": [["<unk>", 0.0], ["a", -3.0], ["b", -3.5], *[[b, -9.0] for b in BYTES]]},
}
MODELS["bpe_ignore_merges"]["vocab"].update({"Hello": 100, "aaaa": 101, "12345": 102})

MAP = charsmap({"\uff21": "A", "\ufb01": "fi", "\u2460": "1", "\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": "",
                "\u00e9": "e\u0301", "e\u0323": "\u1eb9", "\u00bd": "1\u20442"})
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def metaspace(scheme, do_split=True):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": do_split}


def byte_level(add_prefix_space=False, trim_offsets=True, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets, "use_regex": use_regex}


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def bert(clean, chinese, accents, lowercase):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents,
            "lowercase": lowercase}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


NORMALIZERS = {
    "bert": bert(True, True, None, True), "bert cased": bert(True, True, None, False),
    "bert accents": bert(False, False, True, False), "bert lowercase": bert(False, False, False, True),
    **{form: {"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")},
    "replace string": replace({"String": " "}, "\u2581"), "replace regex": replace({"Regex": r"\s{2,}|o"}, "xy"),
    "replace nothing": replace({"Regex": "q*"}, "-"),
    "prepend": {"type": "Prepend", "prepend": "\u2581"},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True}, "strip left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "precompiled": {"type": "Precompiled", "precompiled_charsmap": MAP},
    "sequence": sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                         {"type": "Prepend", "prepend": "_"}),
}
PRE_TOKENIZERS = {
    **{kind: {"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")},
    "digits": {"type": "Digits", "individual_digits": False}, "single digits": {"type": "Digits", "individual_digits": True},
    **{f"split {b}": split({"String": " "}, b) for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")},
    "split inverted": split({"Regex": r"\w+"}, "Removed", True), "split regex": split({"Regex": r"[aeiou]|\s+"}, "MergedWithNext"),
    "split lines": split({"Regex": r"^[ab]|\h$"}, "Isolated"), "split gpt2": split({"Regex": GPT2}, "Isolated"),
    "split llama3": split({"Regex": LLAMA3}, "Isolated"), "split qwen2": split({"Regex": LLAMA3.replace("{1,3}", "")}, "Isolated"),
    "punctuation": {"type": "Punctuation", "behavior": "Isolated"}, "punctuation merged": {"type": "Punctuation", "behavior": "MergedWithPrevious"},
    "metaspace always": metaspace("always"), "metaspace first": metaspace("first"), "metaspace never": metaspace("never"),
    "metaspace whole": metaspace("always", False), "byte level": byte_level(), "byte level prefix": byte_level(True),
    "byte level whole": byte_level(False, True, False),
    "sequence": sequence("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"},
                         metaspace("always")),
}
SPECIAL = {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in (("[CLS]", 1), ("[SEP]", 2))}
A, B = ({"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}})
CLS, SEP, SEP1 = ({"SpecialToken": {"id": n, "type_id": t}} for n, t in (("[CLS]", 0), ("[SEP]", 0), ("[SEP]", 1)))
TEMPLATE = {"type": "TemplateProcessing", "single": [CLS, A, SEP], "pair": [CLS, A, SEP, B, SEP1], "special_tokens": SPECIAL}
POST_PROCESSORS = {
    "template": TEMPLATE, "bert": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    **{f"roberta {t} {p}": {"type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": t, "add_prefix_space": p}
       for t in (True, False) for p in (True, False)},
    "byte level": byte_level(True), "byte level untrimmed": byte_level(True, False),
    "sequence": sequence("processors", byte_level(False), TEMPLATE), "none": None,
}
DECODERS = {
    "none": ("wordpiece", None), "wordpiece": ("wordpiece", {"type": "WordPiece", "prefix": "##", "cleanup": True}),
    "wordpiece plain": ("wordpiece", {"type": "WordPiece", "prefix": "##", "cleanup": False}),
    "byte level": ("bpe_byte_level", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
    "metaspace": ("bpe_fallback", metaspace("always")), "metaspace never": ("bpe_fallback", metaspace("never")),
    "byte fallback": ("bpe_fallback", {"type": "ByteFallback"}), "bpe": ("bpe_affixed", {"type": "BPEDecoder", "suffix": "</w>"}),
    "replace": ("bpe", replace({"Regex": "l+|He"}, "*")),
    "llama": ("bpe_fallback", sequence("decoders", replace({"String": "\u2581"}, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                                       {"type": "Strip", "content": " ", "start": 1, "stop": 0})),
    "strip": ("bpe", {"type": "Strip", "content": "l", "start": 1, "stop": 0}),
}


def added(*tokens):
    """Added tokens after `first`: content and the options that are true."""
    result = []
    for i, (content, *options) in enumerate(tokens):
        flags = {o: o in options for o in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        result.append({"id": len(MODELS["bpe"]["vocab"]) + i, "content": content, **flags})
    return result


ADDED = {
    "plain": added(("[M]",), ("W",), ("[S]", "special")),
    "stripped": added(("[M]", "lstrip", "rstrip"), ("[S]", "special", "lstrip")),
    "right": added(("[M]", "rstrip"), (" b",)), "words": added(("[M]", "single_word"), ("W", "single_word")),
    "normalized": added(("N", "normalized"), ("[S]", "special", "normalized"), ("[M]", "normalized", "lstrip")),
    "longest": added(("[M",), ("[M]",), ("[M][M]",)),
}
LOWER = {"type": "Lowercase"}


def tokenizers():
    """Name, parts and texts of each tokenizer."""
    for name, part in NORMALIZERS.items():
        yield f"normalizer {name}", {"normalizer": part, "model": "bytes"}, TEXTS
    for name, part in PRE_TOKENIZERS.items():
        yield f"pre-tokenizer {name}", {"pre_tokenizer": part, "model": "pieces"}, TEXTS
    for name in MODELS:
        level = {"bpe_byte_level": byte_level(True), "unigram": metaspace("always")}.get(name, split({"String": " "}, "MergedWithNext"))
        yield f"model {name}", {"pre_tokenizer": level, "model": name}, TEXTS
        yield f"model {name} alone", {"model": name}, TEXTS[2:6]
    for name, part in POST_PROCESSORS.items():
        yield f"post-processor {name}", {"pre_tokenizer": byte_level(True), "post_processor": part, "model": "bpe_byte_level"}, TEXTS[1:7]
    for name, (model, part) in DECODERS.items():
        pre = {"wordpiece": {"type": "BertPreTokenizer"}, "bpe_byte_level": byte_level(), "bpe_fallback": metaspace("always")}.get(model)
        yield f"decoder {name}", {"pre_tokenizer": pre, "decoder": part, "model": model}, TEXTS[2:10]
    for name, tokens in ADDED.items():
        yield f"added {name}", {"added_tokens": tokens, "model": "bpe"}, ADDED_TEXTS
        yield f"added {name} lowercase", {"added_tokens": tokens, "normalizer": LOWER, "model": "bpe"}, ADDED_TEXTS


def case(tokenizer, text, pair=None):
    encoding = tokenizer.encode(text, pair)
    return {"text": text, **({} if pair is None else {"pair": pair}), "ids": encoding.ids, "type_ids": encoding.type_ids,
            "offsets": encoding.offsets, "decoded": tokenizer.decode(encoding.ids)}


def main():
    print(json.dumps(MODELS, separators=(",", ":")))
    for name, parts, texts in tokenizers():
        whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                 "post_processor": None, "decoder": None, **parts, "model": MODELS[parts["model"]]}
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        cases = [case(tokenizer, text) for text in texts] + [case(tokenizer, texts[1], texts[2])]
        print(json.dumps({"name": name, "tokenizer": parts, "cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
