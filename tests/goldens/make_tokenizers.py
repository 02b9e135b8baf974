"""Makes tests/goldens/text/tokenizers.json: small tokenizers of the `tokenizers` package, each component in several, and what they
make of texts and ids.

    python tests/goldens/make_tokenizers.py [--out FOLDER] [--seed N]

"vocabularies" hold the vocabulary and the merges that the cases name. A result is [ids, offsets, ids with the template's tokens,
their offsets (both null where they are the same), decoded, decoded without special tokens]; "decodes" are random ids and their
two texts, null where the package panics. Needs tokenizers 0.23.3.
"""

import argparse
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

D, N, P = decoders, normalizers, pre_tokenizers
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}"
          r"\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LEARN_FROM = ["the cat sat on the mat and the hat; it's 10 to 12, isn't it? They'll say that we've said: don't!",
              "The weather there is rather nice, and the other brothers gather 100 flowers in 2024.",
              "straße naïve café déjà vu — über alles; the then them these those",
              "    def add(a, b):\n        return a + b\n\n    x = add(1, 22)\n"] * 3
TEXTS = ["", " ", "the cat", " the  cat ", "The CAT sat.", "it's 2024, isn't IT?", "don't\n\n\tthe", "naïve Straße e\u0301",
         "日本 😀 the", "10 100 1000 12345", "a<s>b </s>", "<s>the</s><pad>", "▁the▁ ▁▁", "\u00a0x\u3000y\u200b", "x\r\ny \x00\x7f",
         "thethethe the-the", "Ġthe Ċ <0x41> <0xE2>", "ÀÉ ǅ İ ﬁ ½ x²", "  \n  a  ", "add(a, b):\n    return", "Mask mask  [MASK] word[MASK]s",
         "end the END", "…!?", "क\u094dषि 한국 👩\u200d💻"]


def train(pre_tokenizer, size, alphabet=(), special=(), **options):
    """{vocab, merges} of the package's trainer."""
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    options.pop("unk_token", None)
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=list(alphabet), special_tokens=list(special),
                                  **options)
    tokenizer.train_from_iterator(LEARN_FROM, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": model["merges"]}


def make_vocabularies():
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    metaspace = P.Sequence([P.Metaspace()])
    return {
        "bytes": train(P.ByteLevel(add_prefix_space=False), 256 + 150, P.ByteLevel.alphabet()),
        "marks": train(metaspace, 3 + 256 + 170, special=["<unk>", "<s>", "</s>", *fallback]),
        # unknown bytes, and few characters
        "few": train(P.Whitespace(), 120, special=["<unk>", "[MASK]"]),
        "suffix": train(P.Whitespace(), 130, special=["<unk>"], end_of_word_suffix="</w>"),
        "prefix": train(P.Whitespace(), 130, special=["<unk>"], continuing_subword_prefix="##"),
    }


def split(pattern, behavior="isolated", invert=False):
    return P.Split(Regex(pattern) if isinstance(pattern, str) else pattern[0], behavior, invert)


def template(single, tokens):
    return processors.TemplateProcessing(single=single, pair=f"{single} $B:1", special_tokens=tokens)


def special(*contents):
    return [AddedToken(content, normalized=False, special=True) for content in contents]


def llama_decoder(strip=1):
    return D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", strip, 0)])


def bytes_cases():
    level = P.ByteLevel(add_prefix_space=False)
    bare = P.ByteLevel(add_prefix_space=False, use_regex=False)
    def case(name, pre, decoder=None, **more):
        return {"name": name, "vocabulary": "bytes", "pre": pre, "decoder": decoder or D.ByteLevel(), **more}
    return [
        case("gpt2", level, added=special("<s>")),
        case("gpt2 prefix space, trimmed offsets", P.ByteLevel(add_prefix_space=True), post=processors.ByteLevel(trim_offsets=True)),
        case("gpt2 trimmed offsets", level, post=processors.ByteLevel(trim_offsets=True, add_prefix_space=False)),
        case("roberta", P.ByteLevel(add_prefix_space=True), added=special("<s>", "</s>"),
             post=lambda ids: processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))),
        case("bert's post-processor", level, added=special("<s>", "</s>"),
             post=lambda ids: processors.BertProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))),
        case("llama3", P.Sequence([split(LLAMA3), bare]), ignore_merges=True, added=special("<s>", "</s>"),
             post=lambda ids: processors.Sequence([processors.ByteLevel(trim_offsets=False),
                                                   template("<s> $A </s> </s>", [(t, ids[t]) for t in ("<s>", "</s>")])])),
        case("qwen", P.Sequence([split(QWEN), bare]), normalizer=N.NFC(), added=special("<s>")),
        case("tekken", P.Sequence([split(TEKKEN), bare]), ignore_merges=True),
        case("deepseek", P.Sequence([split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(r"\s?\p{L}+|\s?\p{P}+|\s+$"), bare])),
        case("falcon", P.Sequence([P.Punctuation("contiguous"), level, P.Digits(individual_digits=False), split("[0-9][0-9][0-9]")])),
        case("starcoder", P.Sequence([P.Digits(individual_digits=True), level]), normalizer=N.Lowercase()),
        case("no pattern", bare, normalizer=N.Sequence([N.Strip(), N.Replace(Regex(" {2,}"), " ")])),
        case("bytes and fuse", level, D.Sequence([D.ByteLevel(), D.Replace("the", "THE"), D.Strip(" ", 2, 1)])),
    ]


def marks_cases():
    def case(name, decoder=None, **more):
        return {"name": name, "vocabulary": "marks", "decoder": decoder or llama_decoder(), "unk": "<unk>", "fuse": True, "fallback": True,
                "added": special("<unk>", "<s>", "</s>"), **more}
    bos = template("<s> $A", [("<s>", 1)])
    return [
        case("llama2", normalizer=N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), post=bos),
        case("llama2 without fallback", normalizer=N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), fallback=False),
        case("unknown one by one", normalizer=N.Replace(" ", "▁"), fallback=False, fuse=False),
        case("metaspace first", pre=P.Metaspace(prepend_scheme="first", split=False), post=bos),
        case("metaspace always", D.Metaspace(), pre=P.Metaspace()),
        case("metaspace never", D.Metaspace(prepend_scheme="never"), pre=P.Metaspace(prepend_scheme="never")),
        case("metaspace first, normalized", D.Sequence([D.ByteFallback(), D.Metaspace(prepend_scheme="first")]),
             normalizer=N.Sequence([N.Strip(), N.NFKC()]), pre=P.Metaspace(prepend_scheme="first")),
        case("metaspace after digits", D.Sequence([D.Fuse(), D.Metaspace()]),
             pre=P.Sequence([P.Digits(individual_digits=True), P.Metaspace(prepend_scheme="first", split=True)])),
        case("gemma", D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]), normalizer=N.Replace(" ", "▁"),
             pre=split((" ",), "merged_with_previous"), post=bos),
        case("strips on both sides", D.Sequence([D.Replace(Regex("▁+"), " "), D.Strip("e", 1, 1), D.ByteFallback()]),
             normalizer=N.Replace(" ", "▁")),
    ]


def few_cases():
    def case(name, pre=None, decoder=None, **more):
        return {"name": name, "vocabulary": "few", "pre": pre, "decoder": decoder, "unk": "<unk>", **more}
    cases = [
        case("whitespace", P.Whitespace()),
        case("whitespace split, fused unknown", P.WhitespaceSplit(), fuse=True),
        case("no unknown token", P.Whitespace(), D.Fuse(), unk=None),
        case("bytes without tokens", P.ByteLevel(add_prefix_space=False), D.ByteLevel()),
        case("bytes without tokens, dropped", P.ByteLevel(add_prefix_space=False), D.ByteLevel(), unk=None),
        case("bert's normalizer", P.Whitespace(), normalizer=N.Sequence([N.NFD(), N.Lowercase(), N.StripAccents()])),
        case("digits one by one", P.Digits(individual_digits=True), normalizer=N.NFKC()),
        case("nmt", P.WhitespaceSplit(), normalizer=N.Sequence([N.Nmt(), N.Prepend("x "), N.Replace("the", "")])),
        case("added tokens", P.Whitespace(), normalizer=N.Lowercase(), added=[
            AddedToken("[MASK]", lstrip=True, rstrip=True, normalized=False, special=True),
            AddedToken("Mask", normalized=True), AddedToken("THE", single_word=True, normalized=True),
            AddedToken("<s>", rstrip=True, normalized=False, special=True), AddedToken("word", lstrip=True, normalized=False),
            AddedToken("END", single_word=True, lstrip=True, normalized=False), AddedToken("<s>the", normalized=False)]),
        case("added tokens, trimmed", P.Whitespace(), post=processors.ByteLevel(trim_offsets=True), added=[
            AddedToken(" the ", normalized=False), AddedToken("cat ", normalized=True, special=True)]),
    ]
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        cases.append(case(f"punctuation {behavior}", P.Punctuation(behavior)))
        cases.append(case(f"split {behavior}", split(r"[aeiou ]", behavior), fuse=True))
        cases.append(case(f"split inverted {behavior}", split(r"\w+", behavior, True)))
    return cases


def affix_cases():
    return [
        {"name": "suffix", "vocabulary": "suffix", "pre": P.Whitespace(), "unk": "<unk>", "suffix": "</w>", "decoder": D.BPEDecoder("</w>")},
        {"name": "suffix, fused decoder", "vocabulary": "suffix", "pre": P.Whitespace(), "unk": "<unk>", "suffix": "</w>", "fuse": True,
         "decoder": D.Sequence([D.Replace("</w>", " "), D.Fuse(), D.Strip(" ", 0, 2)])},
        {"name": "prefix", "vocabulary": "prefix", "pre": P.Whitespace(), "unk": "<unk>", "prefix": "##", "decoder": None},
    ]


def build(case, vocabulary):
    names = {"unk_token": "unk", "fuse_unk": "fuse", "byte_fallback": "fallback", "ignore_merges": "ignore_merges",
             "continuing_subword_prefix": "prefix", "end_of_word_suffix": "suffix"}
    options = {option: case[key] for option, key in names.items() if case.get(key) is not None}
    model = models.BPE(vocab=vocabulary["vocab"], merges=[tuple(m) for m in vocabulary["merges"]], **options)
    tokenizer = Tokenizer(model)
    for part, key in (("normalizer", "normalizer"), ("pre_tokenizer", "pre"), ("decoder", "decoder")):
        if case.get(key) is not None:
            setattr(tokenizer, part, case[key])
    for token in case.get("added", []):
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    if (post := case.get("post")) is not None:  # or a function of the vocabulary with the added tokens
        tokenizer.post_processor = post(tokenizer.get_vocab()) if callable(post) else post
    return tokenizer


def random_texts(rng, count):
    words = ["the", "The", "cat", "it's", "12", "3456", " ", "  ", "\n", "\t", ".", ",", "<s>", "[MASK]", "mask", "é", "e\u0301", "ß", "日", "😀", "▁",
             "\u00a0", "END", "x", "THE", "-", "\x01", "ﬀ"]
    return ["".join(rng.choices(words, k=rng.randrange(1, 9))) for _ in range(count)]


def decode(tokenizer, ids, skip):
    """None where the package panics (Strip at the end of a token that is too short)."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=skip)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


def results(tokenizer, text):
    plain, whole = (tokenizer.encode(text, add_special_tokens=special) for special in (False, True))
    flat = [[x for offsets in encoding.offsets for x in offsets] for encoding in (plain, whole)]
    decoded, skipped = (decode(tokenizer, whole.ids, skip) for skip in (False, True))
    same = whole.ids == plain.ids and flat[0] == flat[1]
    return [plain.ids, flat[0], None if same else whole.ids, None if same else flat[1], decoded, skipped]


def decodes(tokenizer, rng, count):
    rows = []
    for _ in range(count):
        ids = [rng.randrange(tokenizer.get_vocab_size() + 2) for _ in range(rng.randrange(1, 9))]
        rows.append([ids, decode(tokenizer, ids, False), decode(tokenizer, ids, True)])
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    rng = random.Random(args.seed)
    texts = TEXTS + random_texts(rng, 8)
    vocabularies = make_vocabularies()
    cases = []
    for case in bytes_cases() + marks_cases() + few_cases() + affix_cases():
        tokenizer = build(case, vocabularies[case["vocabulary"]])
        document = json.loads(tokenizer.to_str())
        del document["model"]["vocab"], document["model"]["merges"]
        cases.append({"name": case["name"], "vocabulary": case["vocabulary"], "json": document,
                      "results": [results(tokenizer, text) for text in texts], "decodes": decodes(tokenizer, rng, 6)})
    out = args.out / "text/tokenizers.json"
    out.parent.mkdir(exist_ok=True)
    write = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    rows = ",\n".join(map(write, cases))
    kinds = ",\n".join(f"{json.dumps(name)}:{write(value)}" for name, value in vocabularies.items())
    out.write_text(f'{{"tokenizers":"{tokenizers.__version__}","texts":{write(texts)},\n"vocabularies":{{\n{kinds}}},\n"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
