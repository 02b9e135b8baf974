"""TRL's supervised fine-tuning on the CPU: seconds of a step, tokens a second, peak memory. One JSON line.

  .venv-peers/bin/python bench/peers/trl_sft.py [--steps 4] [--threads 2] [--sequences 16] [--length 256]

A Llama shape of 15M parameters (6 layers of 288, vocabulary 32,000, tied), random weights, float32, AdamW, no gradient
checkpointing (as Pawl trains it). The allocator setting that doubles TRL's speed is the caller's environment:
GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184
"""
import argparse
import json
import os
import random
import statistics
import tempfile
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--steps", type=int, default=4)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--sequences", type=int, default=16)
arguments.add_argument("--length", type=int, default=256)
options = arguments.parse_args()
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", WANDB_DISABLED="true",
                  OMP_NUM_THREADS=str(options.threads))

import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback

torch.set_num_threads(options.threads)
torch.manual_seed(0)
random.seed(0)
VOCAB = 32_000


def byte_tokenizer():
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate(symbols)}
    for i in range(VOCAB - len(vocabulary) - 2):
        vocabulary[f"<unused{i}>"] = len(vocabulary)
    vocabulary["<eos>"], vocabulary["<pad>"] = VOCAB - 2, VOCAB - 1
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")


class Clock(TrainerCallback):
    def __init__(self):
        self.ends = []

    def on_step_end(self, *unused, **also_unused):
        self.ends.append(time.perf_counter())


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main():
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCAB, hidden_size=288, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=6, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=VOCAB - 2, pad_token_id=VOCAB - 1))
    letters = "abcdefghijklmnopqrstuvwxyz "
    rows = options.sequences * (options.steps + 1)
    text = ["".join(random.choice(letters) for _ in range(options.length - 1)) for _ in range(rows)]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = trl.SFTConfig(
            output_dir=folder, per_device_train_batch_size=options.sequences, max_length=options.length,
            max_steps=options.steps + 1, learning_rate=1e-4, logging_steps=1, save_strategy="no", report_to=[],
            bf16=False, fp16=False, gradient_checkpointing=False, use_cpu=True, dataloader_num_workers=0, packing=False)
        trainer = trl.SFTTrainer(model, args=config, train_dataset=Dataset.from_list([{"text": t} for t in text]),
                                 processing_class=byte_tokenizer(), callbacks=[clock])
        trainer.train()
    # from one step's end to the next: nothing is left out; the first step is not counted
    steps = [after - before for before, after in zip(clock.ends, clock.ends[1:])]
    step = statistics.median(steps)
    tokens = options.sequences * options.length
    print(json.dumps({"what": "TRL SFT", "trl": trl.__version__, "transformers": transformers.__version__,
                      "torch": torch.__version__, "threads": options.threads, "sequences": options.sequences,
                      "length": options.length, "allocator": "GLIBC_TUNABLES" in os.environ,
                      "step_s": round(step, 3), "step_s_range": [round(min(steps), 3), round(max(steps), 3)],
                      "tokens_per_s": round(tokens / step, 1), "peak_bytes": peak_bytes()}), flush=True)


main()
