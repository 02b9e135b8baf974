"""bench/text.py COMMAND: the text layer beside its Python peers, in turns in one run.

  templates    chat templates: ours (chat_template_bench) and jinja2's compiled template as transformers makes it
  tokenizer    encoding and streamed decoding, one thread: ours (tokenizer_bench), the tokenizers package at its fastest call, and
               for GPT-2's vocabulary tiktoken
  perplexity   of a text under a 15M model, float32, two threads: `pawl eval --text` and transformers on the same windows
  memory       of `pawl data inspect`, and of what a training run reads with, over a JSON-lines file of many gigabytes, which it makes
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

from language import ALLOCATOR

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEMPLATES = ["llama3", "llama3_1", "qwen2_5", "qwen3", "glm4moe", "gemma4_v5"]


def conversations():
    tool = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a place", "parameters": {
        "type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "a city"},
                                                               "days": {"type": "integer", "description": "how many"}}}}}
    words = "The quick brown fox jumps over the lazy dog. " * 6
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"{i}: {words}"} for i in range(21)]
    yield {"name": "short", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    yield {"name": "21 turns", "messages": turns}
    yield {"name": "tools", "tools": [tool] * 3, "messages": [
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome", "days": 2}}}]},
        {"role": "tool", "name": "get_weather", "content": "sunny"}, {"role": "assistant", "content": "Sunny."}, {"role": "user", "content": "Thanks"}]}


def peer_times(document, seconds):
    from transformers.utils.chat_template_utils import _compile_jinja_template
    times = {}
    for entry in document["templates"]:
        template = _compile_jinja_template(entry["text"])
        for conversation in document["conversations"]:
            values = dict(messages=conversation["messages"], tools=conversation.get("tools"), documents=None,
                          add_generation_prompt=True, **document["variables"])
            text = template.render(**values)
            count, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < seconds:
                template.render(**values)
                count += 1
            times.setdefault(entry["name"], {})[conversation["name"]] = {
                "microseconds": (time.perf_counter() - begin) / count * 1e6, "bytes": len(text.encode())}
    return times


def templates(args):
    import trl
    folder = pathlib.Path(trl.__file__).parent / "chat_templates"
    document = {"variables": {"bos_token": "<s>", "eos_token": "</s>", "date_string": "05 Jul 2024"},
                "templates": [{"name": name, "text": (folder / f"{name}.jinja").read_text()} for name in TEMPLATES],
                "conversations": list(conversations())}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        ours, theirs = [], []
        for _ in range(args.turns):
            run = subprocess.run([args.build / "bench/chat_template_bench", file.name, f"--seconds={args.seconds}"],
                                 check=True, capture_output=True, text=True)
            ours.append(json.loads(run.stdout))
            theirs.append(peer_times(document, args.seconds))
    ratios = []
    for name in TEMPLATES:
        for conversation in (c["name"] for c in document["conversations"]):
            cells = [[t[name][conversation] for t in times] for times in (ours, theirs)]
            assert cells[0][0]["bytes"] == cells[1][0]["bytes"], "another text"
            mine, peer = (min(c["microseconds"] for c in cell) for cell in cells)
            ratios.append(peer / mine)
            print(f"{name:12} {conversation:10} {cells[0][0]['bytes']:7} bytes  pawl {mine:8.2f} us  jinja2 {peer:8.1f} us  {peer / mine:5.1f}x")
    print(f"geometric mean {statistics.geometric_mean(ratios):.1f}x, least {min(ratios):.1f}x, most {max(ratios):.1f}x (best of {args.turns} turns)")


# The first article of the Universal Declaration of Human Rights: words of many scripts.
ARTICLES = [
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt",
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα",
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق وقد وهبوا عقلاً وضميراً",
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है",
    "人 人 生而 自由 ， 在 尊严 和 权利 上 一律 平等 。 他们 赋有 理性 和 良心",
    "すべての 人間 は 、 生まれながら にして 自由 で あり 、 かつ 、 尊厳 と 権利 とに ついて 平等 である",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền",
    "😀 👩‍💻 🏳️‍🌈 é e\u0301 ﬁ Ω ½ x² ∑ → © 2024 3,14 $5.00 https://a.b/c?d=e {\"k\": [1, 2]} def f(x): return x ** 2",
]


def mixed_text(english, size, seed=1):
    rng = random.Random(seed)
    lines, total = [], 0
    while total < size:
        words = rng.choice(ARTICLES).split(" ") if rng.random() < 0.7 else rng.choice(english).split(" ")
        line = ("" if words[0] in "人すべての" else " ").join(rng.choice(words) for _ in range(rng.randint(3, 60)))
        lines.append(line)
        total += len(line.encode()) + 1
    return "\n".join(lines)


def megabytes_per_second(size, run):
    begin = time.perf_counter()
    run()
    return size / 1e6 / (time.perf_counter() - begin)


def tiktoken_gpt2(folder):
    """GPT-2's vocabulary of the folder as tiktoken has it."""
    import tiktoken
    bytes_of = {chr(b): b for b in [*range(33, 127), *range(161, 173), *range(174, 256)]}
    for byte in sorted(set(range(256)) - set(bytes_of.values())):
        bytes_of[chr(256 + len(bytes_of) - 188)] = byte
    vocab = json.loads((folder / "vocab.json").read_text())
    special = {"<|endoftext|>": vocab.pop("<|endoftext|>")}
    ranks = {bytes(bytes_of[c] for c in token): rank for token, rank in vocab.items()}
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
    return tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


def tokenizer(args):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers
    english = args.english.read_text()
    texts = {"english": english, "mixed": mixed_text(english.split("\n"), len(english.encode()))}
    for name, path in ((p.name, p) for p in args.tokenizers):
        peer = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json")) if (path / "tokenizer.json").exists() else None
        tik = tiktoken_gpt2(path) if (path / "vocab.json").exists() else None
        if peer is None:  # vocab.json and merges.txt
            peer = tokenizers.ByteLevelBPETokenizer.from_file(str(path / "vocab.json"), str(path / "merges.txt"))._tokenizer
        for kind, text in texts.items():
            size, lines = len(text.encode()), text.split("\n")
            ids = [e.ids for e in peer.encode_batch_fast(lines, add_special_tokens=False)]
            if tik:
                assert tik.encode_ordinary_batch(lines, num_threads=1) == ids, "tiktoken: other ids"

            def stream():
                for row in ids:
                    decoding = tokenizers.decoders.DecodeStream(skip_special_tokens=False)
                    for token in row:
                        decoding.step(peer, token)

            peers = {"encode": {"tokenizers": lambda: peer.encode_batch_fast(lines, add_special_tokens=False),
                                "tokenizers, a line a call": lambda: [peer.encode(line, add_special_tokens=False).ids for line in lines]},
                     "decode": {"tokenizers": stream}}
            if tik:
                peers["encode"]["tiktoken"] = lambda: [tik.encode_ordinary(line) for line in lines]
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(text)
                file.flush()
                for mode in ("encode", "decode"):
                    rates = {}
                    for _ in range(args.turns):
                        run = subprocess.run([args.build / "bench/tokenizer_bench", path, mode, file.name, "3"], check=True,
                                             capture_output=True, text=True)
                        ours = json.loads(run.stdout)
                        assert ours["tokens"] == sum(map(len, ids)), "another number of tokens"
                        rates.setdefault("pawl", []).append(ours["mb_per_s"])
                        for who, call in peers[mode].items():
                            rates.setdefault(who, []).append(max(megabytes_per_second(size, call) for _ in range(2)))
                    best = {who: max(values) for who, values in rates.items()}
                    ratios = {f"over {who}": round(best["pawl"] / rate, 2) for who, rate in best.items() if who != "pawl"}
                    print(json.dumps({"vocabulary": name, "text": kind, "what": mode,
                                      "mb_per_s": {who: round(rate, 1) for who, rate in best.items()}, **ratios}), flush=True)


# the setting that suits the peer best: large blocks are kept instead of given back after each pass
PEER_BEST = {"GLIBC_TUNABLES": ALLOCATOR}
PEER_PERPLEXITY = """
import json, math, sys, time
import torch, transformers
torch.set_num_threads(2)
folder, text, context, batch = sys.argv[1], open(sys.argv[2]).read(), int(sys.argv[3]), int(sys.argv[4])
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids[0]
begin = time.perf_counter()
total, count = 0.0, 0
whole = len(ids) // context
rows = [ids[i * context:(i + 1) * context][None] for i in range(whole)]
groups = [torch.cat(rows[i:i + batch]) for i in range(0, whole, batch)]
if len(ids) % context > 1:
    groups.append(ids[whole * context:][None])
with torch.no_grad():
    for group in groups:
        logits = model(group).logits[:, :-1].float()
        total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), group[:, 1:].flatten(), reduction="sum").item()
        count += group[:, 1:].numel()
print(json.dumps({"seconds": time.perf_counter() - begin, "perplexity": math.exp(total / count), "tokens": count}))
"""


def small_model(args, folder):
    """A model of 15M parameters that has seen a little text, with a tokenizer of 8,000 tokens from the same text."""
    subprocess.run([args.build / "pawl", "tokenizer", "train", *args.learn, "--out", folder / "tokenizer"], check=True,
                   stdout=subprocess.DEVNULL)
    files = json.dumps([str(path) for path in args.learn])
    subprocess.run([args.build / "pawl", "train", ROOT / "configs/bench/sft_15m.toml", "--run", folder / "run", "--set",
                    f"data.files={files}", "--set", "data.tokenizer=model", "--set", f"data.tokenizer_path={folder / 'tokenizer'}",
                    "--set", "total_updates=30"], check=True, stdout=subprocess.DEVNULL)
    return folder / "run/model"


def perplexity(args):
    """Seconds of ours are the whole command's, its start and the tokenizer's work included; those of transformers begin when model
    and ids are there."""
    folder = tempfile.TemporaryDirectory()
    args.model = args.model or small_model(args, pathlib.Path(folder.name))
    times = {}
    for _ in range(args.turns):
        begin = time.perf_counter()
        run = subprocess.run([args.build / "pawl", "eval", args.model, "--text", args.text, "--context", str(args.context), "--json"],
                             check=True, capture_output=True, text=True)
        times.setdefault("pawl", []).append(time.perf_counter() - begin)
        task = next(iter(json.loads(run.stdout)["tasks"].values()))
        for batch in args.batches:
            run = subprocess.run([sys.executable, "-c", PEER_PERPLEXITY, args.model, args.text, str(args.context), str(batch)],
                                 check=True, capture_output=True, text=True, env=os.environ | PEER_BEST)
            peer = json.loads(run.stdout)
            times.setdefault(f"transformers, batch {batch}", []).append(peer["seconds"])
            assert peer["tokens"] == task["n"], (peer, task)
            assert abs(peer["perplexity"] / task["value"] - 1) < 1e-3, (peer, task)
    best = {who: min(values) for who, values in times.items()}
    print(json.dumps({"what": "perplexity", "tokens": task["n"], "perplexity": {"pawl": task["value"], "transformers": peer["perplexity"]},
                      "seconds": {who: round(value, 3) for who, value in best.items()},
                      "ratio": round(min(v for who, v in best.items() if who != "pawl") / best["pawl"], 2)}))


PEAK_OF_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def memory(args):
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = pathlib.Path(folder) / "big.jsonl"
        rng = random.Random(1)
        words = "the cat sat on a mat while two dogs ran over the hill and far away".split()
        block = "".join(json.dumps({"prompt": " ".join(rng.choices(words, k=rng.randint(5, 200))),
                                    "completion": " ".join(rng.choices(words, k=rng.randint(5, 200)))}) + "\n" for _ in range(100_000))
        with path.open("w") as file:
            while file.tell() < args.gigabytes * 1e9:
                file.write(block)
        gigabytes = round(path.stat().st_size / 1e9, 2)
        for what, command in (("pawl data inspect", [args.build / "pawl", "data", "inspect", path, "--json"]),
                              ("checked and drawn from: data_bench", [args.build / "bench/data_bench", path])):
            begin = time.perf_counter()
            # a process inherits its parent's peak: it is started by one that has hardly any
            peak = subprocess.run([sys.executable, "-c", PEAK_OF_CHILD, *command], check=True, capture_output=True, text=True)
            print(json.dumps({"what": what, "gigabytes": gigabytes, "peak_mb": round(int(peak.stdout) * 1024 / 1e6, 1),
                              "seconds": round(time.perf_counter() - begin, 1)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("templates")
    command.add_argument("--turns", type=int, default=3)
    command.add_argument("--seconds", type=float, default=0.1)
    command.set_defaults(run=templates)
    command = commands.add_parser("tokenizer")
    command.add_argument("english", type=pathlib.Path, help="a text of a megabyte or more")
    command.add_argument("tokenizers", type=pathlib.Path, nargs="+", help="folders")
    command.add_argument("--turns", type=int, default=3)
    command.set_defaults(run=tokenizer)
    command = commands.add_parser("perplexity")
    command.add_argument("text", type=pathlib.Path)
    command.add_argument("learn", type=pathlib.Path, nargs="*", help="texts that a small model learns from")
    command.add_argument("--model", help="a folder with its tokenizer, instead of a small model")
    command.add_argument("--context", type=int, default=256)
    command.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    command.add_argument("--turns", type=int, default=3)
    command.set_defaults(run=perplexity)
    command = commands.add_parser("memory")
    command.add_argument("--gigabytes", type=float, default=10)
    command.add_argument("--folder", default="/tmp")
    command.set_defaults(run=memory)
    args = parser.parse_args()
    args.run(args)


main()
