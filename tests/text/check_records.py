"""check_records.py prompts FOLDER FILE | packing FOLDER | sft FOLDER MAX_LENGTH LOSS_ON: compares what records_peer_test.cc left
in FOLDER with TRL's own functions."""
import gzip
import json
import os
import pathlib
import sys
import types

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_DATASETS_OFFLINE"] = "1"
import datasets
import transformers
import trl
from trl.data_utils import extract_prompt, is_conversational

datasets.disable_progress_bars()
mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
CHATML = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.role == 'assistant' -%}{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}"
    "{%- else -%}{{ message.content + '<|im_end|>' }}{%- endif -%}{{ '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if str(path).endswith(".gz") else open(path, encoding="utf-8")
    return [json.loads(line) for line in opened]


def prompts():
    ours, theirs = lines(folder / "ours.jsonl"), lines(sys.argv[3])
    assert len(ours) == len(theirs) > 0
    for our, their in zip(ours, theirs):
        expected = extract_prompt(their) | {"conversational": is_conversational(their)}
        assert our == expected, (their, our, expected)


def packing():
    cases = json.loads((folder / "ours.json").read_text())
    assert len(cases) > 20
    for case in cases:
        # each sequence says its number in every token
        ids = [[number] * length for number, length in enumerate(case["lengths"])]
        packed = trl.pack_dataset(datasets.Dataset.from_dict({"input_ids": ids}), case["capacity"], "bfd")
        ours = [[number for number in row for _ in range(case["lengths"][number])] for row in case["rows"]]
        assert packed["input_ids"][:] == ours, case


def sft():
    max_length, loss_on = int(sys.argv[3]), sys.argv[4]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]})
    ids = {"<|im_start|>": 256, "<|im_end|>": 257}
    ours = lines(folder / "ours.jsonl")
    swap = {tokenizer.convert_tokens_to_ids(name): number for name, number in ids.items()}
    trainer = types.SimpleNamespace(_tokenizer=tokenizer, chat_template=CHATML, completion_only_loss=loss_on != "all")
    args = types.SimpleNamespace(
        dataset_num_proc=None, dataset_text_field="text", assistant_only_loss=loss_on == "assistant", max_length=max_length,
        truncation_mode="keep_start", shuffle_dataset=False)
    dataset = datasets.Dataset.from_list(lines(folder / "records.jsonl"))
    prepared = trl.SFTTrainer._prepare_dataset(trainer, dataset, tokenizer, args, False, None, "train")
    theirs = []
    for example in prepared:
        input_ids = [swap.get(token, token) for token in example["input_ids"]]
        labels = [swap.get(token, token) for token in example["labels"]]
        labels[:1] = [-100] * len(labels[:1])  # nothing predicts the first token
        # an example whose only label is that one teaches nothing
        if any(label != -100 for label in labels):
            theirs.append({"input_ids": input_ids, "labels": labels})
    assert ours == theirs, f"\nours   {ours}\ntheirs {theirs}"


{"prompts": prompts, "packing": packing, "sft": sft}[mode]()
