"""prepare_tokenizers.py [--shared SHARED] [NAME...]: makes the vocabularies and texts of the parity tests (parity_peer_test.cc) in
.cache/tokenizers, with the real packages and transformers' own converters. What a vocabulary is made from:

  gpt2                       SHARED/data/tokenizers/gpt2 (vocab.json, merges.txt)
  llama3                     the wheel of llama_models in .cache/tokenizers/wheels
  tekken, mistral_v1 v2 v3   the wheel of mistral_common there (pip download --no-deps -d .cache/tokenizers/wheels NAME)
  gemma3                     .cache/gemma3_270m/tokenizer.json
  qwen                       Qwen's pipeline over a vocabulary that the package learns from SHARED

A SentencePiece vocabulary has tokenizer.model, tokenizer.json as transformers converts it today, and legacy.json, the form of
Llama 2's own file, which gives SentencePiece's ids. samples.jsonl holds texts, one JSON string a line; each folder has more of
them with its added tokens. SHARED: found beside the repository where it is not given. What has no source is left out by name.
Run by .venv-peers/bin/python; about a minute.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import shutil
import sys
import unicodedata
import zipfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / ".cache/tokenizers"
# what tekken files without a list of special tokens mean
TEKKEN_SPECIAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
                  "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
                  "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"]
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
                  "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>",
                  "<|python_tag|>", "<|image|>"]
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
QWEN_PLAIN = ["<tool_call>", "</tool_call>", "<think>", "</think>"]


class NoSource(Exception):
    pass


def find_shared():
    for parent in ROOT.parents:
        if (parent / "shared/data").is_dir():
            return parent / "shared"
    return ROOT / "shared"


PARSER = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
PARSER.add_argument("--shared", type=pathlib.Path, default=find_shared())
PARSER.add_argument("names", nargs="*", metavar="NAME", help="vocabularies; default: all")
ARGS = PARSER.parse_args()
SHARED = ARGS.shared


def wheel_file(wheel, name):
    """The bytes of a file in a wheel."""
    for path in (OUT / "wheels").glob(f"{wheel}-*.whl"):
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    raise NoSource(f"no wheel of {wheel} in {OUT / 'wheels'}")


# --- vocabularies -----------------------------------------------------------------------------------------------------------

def gpt2(folder):
    source = SHARED / "data/tokenizers/gpt2"
    if not source.is_dir():
        raise NoSource(f"no {source}")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(source / name, folder / name)
    transformers.GPT2Tokenizer.from_pretrained(folder).backend_tokenizer.save(str(folder / "tokenizer.json"))


def llama3(folder):
    from transformers.convert_slow_tokenizer import TikTokenConverter
    model = folder / "tiktoken.model"
    model.write_bytes(wheel_file("llama_models", "llama_models/llama3/tokenizer.model"))
    special = LLAMA3_SPECIAL + [f"<|reserved_special_token_{2 + i}|>" for i in range(256 - len(LLAMA3_SPECIAL))]
    tokenizer = TikTokenConverter(str(model), extra_special_tokens=special).converted()
    # as Llama 3's own file has it
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = tokenizers.processors.Sequence([
        tokenizers.processors.ByteLevel(trim_offsets=False),
        tokenizers.processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B:1",
                                                 special_tokens=[("<|begin_of_text|>", begin)])])
    tokenizer.save(str(folder / "tokenizer.json"))


def tekken(folder):
    from transformers.integrations.mistral.tokenizer import convert_tekken_tokenizer
    document = json.loads(wheel_file("mistral_common", "mistral_common/data/tekken_240911.json"))
    if document.get("special_tokens") is None:
        document["special_tokens"] = [{"rank": i, "token_str": token, "is_control": True} for i, token in enumerate(TEKKEN_SPECIAL)]
    path = folder / "tekken.json"
    path.write_text(json.dumps(document))
    convert_tekken_tokenizer(str(path), chat_template="").backend_tokenizer.save(str(folder / "tokenizer.json"))
    path.unlink()


def mistral(folder, name):
    (folder / "tokenizer.model").write_bytes(wheel_file("mistral_common", f"mistral_common/data/{name}"))
    now = transformers.LlamaTokenizer.from_pretrained(folder)
    now.backend_tokenizer.save(str(folder / "tokenizer.json"))
    # Llama 2's own file: merges in the order of the scores, as transformers 4 made them (5 takes that of the ids, which puts the
    # pieces of spaces first), and normalizers in the place of Metaspace
    from transformers.convert_slow_tokenizer import SentencePieceExtractor, generate_merges
    pieces = SentencePieceExtractor(str(folder / "tokenizer.model")).proto.pieces
    vocab = {piece.piece: i for i, piece in enumerate(pieces)}
    merges = generate_merges(vocab, [(piece.piece, piece.score) for piece in pieces])
    legacy = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    legacy.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    legacy.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                        decoders.Strip(" ", 1, 0)])
    legacy.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B:1",
                                                                     special_tokens=[("<s>", 1)])
    # the model's unknown and control tokens; user-defined ones are not special
    legacy.add_tokens([AddedToken(p.piece, normalized=False, special=p.type != 4) for p in pieces if p.type in (2, 3, 4)])
    legacy.save(str(folder / "legacy.json"))
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
              "add_bos_token": True, "add_eos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def gemma3(folder):
    source = ROOT / ".cache/gemma3_270m/tokenizer.json"
    if not source.exists():
        raise NoSource(f"no {source}")
    shutil.copyfile(source, folder / "tokenizer.json")


def qwen(folder):
    model = Tokenizer(models.BPE())
    # the pipeline of transformers' class, without its vocabulary
    empty = transformers.Qwen2Tokenizer()
    model.normalizer, model.pre_tokenizer = empty.backend_tokenizer.normalizer, empty.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=16000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    model.train_from_iterator(english_lines() + data_lines(), trainer)
    learned = json.loads(model.to_str())["model"]
    tokenizer = transformers.Qwen2Tokenizer(vocab=learned["vocab"], merges=[tuple(m) for m in learned["merges"]])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=True) for t in QWEN_SPECIAL], special_tokens=True)
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in QWEN_PLAIN])
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))


VOCABULARIES = {
    "gpt2": gpt2,
    "llama3": llama3,
    "tekken": tekken,
    "mistral_v1": lambda folder: mistral(folder, "tokenizer.model.v1"),
    "mistral_v2": lambda folder: mistral(folder, "mistral_instruct_tokenizer_240216.model.v2"),
    "mistral_v3": lambda folder: mistral(folder, "mistral_instruct_tokenizer_240323.model.v3"),
    "gemma3": gemma3,
    "qwen": qwen,
}


# --- texts ------------------------------------------------------------------------------------------------------------------

def read_lines(name):
    path = SHARED / "data" / name
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
    with opened as file:
        return [line.rstrip("\n") for line in file]


def english_lines():
    return [line for name in ("text/tinyshakespeare/input.txt", "text/tinystories/tiny_stories.txt", "text/wikitext2/valid.txt")
            for line in read_lines(name) if line]


def data_lines():
    """JSON as it stands in its files: with LaTeX, code, escapes."""
    return [line for name in ("math/math500/test.jsonl", "math/gsm8k/test.jsonl", "math/countdown/test.jsonl",
                              "instruct/dolly_hhrlhf_train_small.jsonl", "eval/HumanEval.jsonl.gz",
                              "prefs/hh-rlhf/harmless-base_test.jsonl.gz") for line in read_lines(name)]


def content_texts():
    """The texts inside: programs and LaTeX with their line breaks."""
    texts = []
    for line in read_lines("eval/HumanEval.jsonl.gz"):
        record = json.loads(line)
        texts += [record["prompt"] + record["canonical_solution"], record["test"]]
    for line in read_lines("math/math500/test.jsonl"):
        record = json.loads(line)
        texts += [record["problem"], record["solution"]]
    return texts


def shared_texts(rng):
    english, data = english_lines(), data_lines()
    texts = rng.sample(english, 3000) + rng.sample(data, 1500) + content_texts() + rng.sample(read_lines("text/names/names.txt"), 100)
    # long ones: many lines at once
    texts += ["\n".join(english[at:at + 200]) for at in rng.sample(range(len(english) - 200), 12)]
    return texts


def unicode_texts():
    """Every code point but those of the great blocks that are all alike, where every 16th stands for the others."""
    points = []
    for c in range(0x110000):
        alike = 0x3400 <= c < 0x4DC0 or 0x4E00 <= c < 0xA000 or 0xAC00 <= c < 0xD7A4 or 0x17000 <= c < 0x18D00 or c >= 0x20000
        if 0xD800 <= c < 0xE000 or (alike and c % (4096 if c >= 0x40000 and not 0xE0000 <= c < 0xE0200 else 16)):
            continue
        points.append(chr(c))
    for at in range(0, len(points), 64):
        yield " ".join(points[at:at + 64])
    for at in range(0, len(points), 128):
        yield "".join(f"a{c}1" for c in points[at:at + 128] if unicodedata.category(c) not in ("Lo", "Cn", "Co"))


SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\x0b", "\x0c", "\x85",
          "\u1680", "\ufeff"]
MARKS = ["\u0301", "\u0323", "\u0308", "\u20dd", "\u0334", "\u05b0", "\u064e", "\u093c", "\u094d", "\u0e31", "\u3099", "\ufe0f",
         "\u200d", "\u200c", "\u0345"]
WORDS = ["the", "The", "THE", "don't", "We'LL", "it's", "I'M", "naïve", "Straße", "ÀÉÎ", "42", "3.14", "1,000,000", "x²", "½", "Ⅷ", "٣٤٥",
         "日本語", "中文字", "한국어", "русский", "Ελλάδα", "עברית", "العربية", "हिन्दी", "ไทย", "Ǆǅǆ", "İı", "ﬁn", "①", "😀", "👩‍💻", "🇩🇪",
         "👍🏽", "🏳️‍🌈", "ſ", "ʼn", "\U0001d54f", "__init__", "foo_bar", "a.b", "https://x.y/z?q=1&r=%20", "e.g.", "...", "!!", "'", "\"",
         "'s", "''s", "\\frac{1}{2}", "$x^2$", "<br/>", "▁", "▁▁", "a▁b", "Ġ", "Ċ", "<0x41>", "<0xE2>", "\ufffd", "\x00", "\x7f", "\x1b[0m",
         "{\"a\": [1, 2]}", "```", "==", "->", "/*", "//", "#", "\u00ad", "ª", "º", "µ", "ß", "ẞ"]


def random_texts(rng, count):
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(1, 14)):
            kind = rng.randrange(10)
            if kind < 5:
                parts.append(rng.choice(WORDS))
            elif kind < 7:
                parts.append(rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 5]))
            elif kind == 7:
                parts.append(rng.choice(MARKS) * rng.choice([1, 1, 2]))
            elif kind == 8:
                parts.append(chr(rng.choice([rng.randrange(0x20), rng.randrange(0x20, 0x250), rng.randrange(0x250, 0xD800),
                                             rng.randrange(0xE000, 0x30000), rng.randrange(0x30000, 0x110000)])))
            else:
                parts.append("".join(rng.choice("abcXYZ012 '.,_-") for _ in range(rng.randrange(1, 20))))
        yield rng.choice(["", " "]).join(parts)


def long_texts(rng):
    for piece in ("a", " ", "\n", "ab", "0", "é", "日", "😀", "▁", "-", "\u0301", "\x00", " a", "aA", "a\n"):
        for count in (30, 31, 33, 100, 1000):
            yield piece * count
            yield "x" + piece * count + " y"
    for size in (200, 5000):
        yield "".join(rng.choices("ABCDEFGHabcdefgh0123456789+/", k=size))
        yield "".join(rng.choices("日本語中文字漢學校", k=size))
        yield "".join(chr(rng.randrange(0x20, 0x500)) for _ in range(size))
        yield " " * size + "end" + " " * size


def make_samples():
    rng = random.Random(1)
    texts = ["", *SPACES, *WORDS, *MARKS, *shared_texts(rng), *unicode_texts(), *random_texts(rng, 3000), *long_texts(rng)]
    (OUT / "samples.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    print(f"samples.jsonl: {len(texts)} texts, {sum(map(len, texts))} code points")


def make_added_samples(folder):
    """Texts with the vocabulary's added tokens: whole, cut, doubled, at the edges, between words and white space."""
    rng = random.Random(2)
    added = [token.content for token in Tokenizer.from_file(str(folder / "tokenizer.json")).get_added_tokens_decoder().values()]
    chosen = added[:40] + rng.sample(added, min(20, len(added)))
    texts = []
    for token in chosen:
        texts += [token, f" {token} ", f"a{token}b", f"a {token} b", token + token, token[:-1], token[1:], token.upper(),
                  f"{token}  x", f"x\n{token}\n"]
    for _ in range(500):
        pieces = [rng.choice([rng.choice(chosen), rng.choice(WORDS), rng.choice(SPACES)]) for _ in range(rng.randrange(1, 10))]
        texts.append("".join(pieces))
    (folder / "samples.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    if not (SHARED / "data").is_dir():
        sys.exit(f"prepare_tokenizers.py: no {SHARED / 'data'}; give its parent with --shared")
    make_samples()
    for name in ARGS.names or VOCABULARIES:
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            VOCABULARIES[name](folder)
            make_added_samples(folder)
            print(f"{name}: {', '.join(sorted(p.name for p in folder.iterdir()))}", flush=True)
        except NoSource as reason:
            shutil.rmtree(folder)
            print(f"{name}: left out, {reason}")


main()
