"""tokenizer_seeds.py FOLDER: writes the first inputs of tokenizer_fuzz: the pipelines of the goldens over a small vocabulary, their
texts, and SentencePiece models of one piece of each kind. Run by tests/fuzz/run."""
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
golden = json.loads((pathlib.Path(__file__).parents[1] / "goldens/text/tokenizers.json").read_text())
vocab = {token: i for i, token in enumerate(["a", "b", " ", "ab", "▁", "▁a", "Ġ", "<0x41>", "<unk>", "t", "th", "h"])}
for i, case in enumerate(golden["cases"]):
    document = case["json"]
    document["model"].update(vocab=vocab, merges=["a b", "▁ a", "t h"])
    document["added_tokens"] = [token for token in document["added_tokens"] if token["content"] not in vocab]
    for number, token in enumerate(document["added_tokens"]):
        token["id"] = len(vocab) + number
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (out / f"json{i}").write_bytes(b"j" + text.encode() + b"\0 ab a<s>b the  12 \xc3\xa4A")
for i, text in enumerate(golden["texts"]):
    (out / f"text{i}").write_bytes(b"t" + text.encode())


def message(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def piece(text, score, kind):
    return message(1, message(1, text) + b"\x15\0\0" + bytes([score, 0xC0]) + bytes([3 << 3, kind]))


for kind in range(1, 7):
    pieces = piece(b"a", 1, 1) + piece(b"b", 2, 1) + piece(b"ab", 3, kind) + piece(b"<u>", 0, 2)
    (out / f"model{kind}").write_bytes(b"s" + pieces + message(2, b"\x18\2"))
