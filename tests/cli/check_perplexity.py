"""Compares `pawl eval --text --json` with transformers on two small random models and texts of many scripts.

  check_perplexity.py PAWL FOLDER

The peer's number is the sliding window of transformers' documentation ("Perplexity of fixed-length models"): windows of
`context` tokens that move on by `stride`, each counting the tokens that no window before it had. Prints a JSON list of
{"case", "quantity", "pawl", "transformers", "items"}.
"""
import json
import math
import pathlib
import subprocess
import sys

import tokenizers
import torch
import transformers

TEXT = "".join(f"{i} times the quick brown fox, naïve Ωmega {i * i % 97}: 人人生而自由 \U0001F600 x²\n" for i in range(60))


def make_model(folder, kind):
    """Weights large enough that a token's probability depends on what stands before it."""
    folder.mkdir()
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = tokenizers.decoders.ByteLevel()
    peer.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    if kind == "llama":  # puts <s> before a text
        peer.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=peer, bos_token="<s>").save_pretrained(folder)
    torch.manual_seed(3)
    if kind == "llama":
        config = transformers.LlamaConfig(vocab_size=300, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
                                          num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                                          initializer_range=0.3)
    else:
        config = transformers.GPT2Config(vocab_size=300, n_embd=48, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3,
                                         bos_token_id=0, eos_token_id=0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def peer_numbers(folder, context, stride):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    text_tokens = len(tokenizer(TEXT, add_special_tokens=False)["input_ids"])
    loss, right, count, counted_to = 0.0, 0, 0, 0
    for begin in range(0, ids.size(1), stride):
        end = min(begin + context, ids.size(1))
        window = ids[:, begin:end]
        with torch.no_grad():
            logits = model(window).logits[0, :-1].double()
        first = max(1, counted_to - begin)  # of the window's tokens the first that is new and has one before it
        targets = window[0, first:]
        rows = logits[first - 1:]
        loss += torch.nn.functional.cross_entropy(rows, targets, reduction="sum").item()
        right += (rows.argmax(-1) == targets).sum().item()
        count += targets.numel()
        counted_to = end
        if end == ids.size(1):
            break
    mean = loss / count
    bits = mean / math.log(2) * text_tokens / len(TEXT.encode())
    return {"perplexity": math.exp(mean), "loss": mean, "bits_per_byte": bits, "token_accuracy": right / count}, count


def main():
    pawl, scratch = sys.argv[1], pathlib.Path(sys.argv[2])
    text = scratch / "text.txt"
    text.write_text(TEXT)
    out = []
    for kind in ("llama", "gpt2"):
        folder = scratch / kind
        make_model(folder, kind)
        for context, stride in ((64, 64), (64, 16), (33, 10), (20, 20)):
            run = subprocess.run([pawl, "eval", folder, "--text", text, "--context", str(context), "--stride", str(stride), "--json"],
                                 check=True, stdout=subprocess.PIPE, text=True)
            task = next(iter(json.loads(run.stdout)["tasks"].values()))
            peer, count = peer_numbers(folder, context, stride)
            ours = {name: entry["value"] for name, entry in task["metrics"].items()} | {task["metric"]: task["value"]}
            for name, value in peer.items():
                out.append({"case": f"{kind} {context}/{stride}", "quantity": name, "pawl": ours[name], "transformers": value,
                            "items": [task["n"], count]})
    print(json.dumps(out))


main()
