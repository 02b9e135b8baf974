"""check_parity.py TOKENIZER SAMPLES DUMP: compares what tokenizer_bench printed for the samples (one JSON string a
line) with the tokenizers package: ids, offsets, decoded text, and the ids with the template's tokens. Prints the first
differences; exit code 1 where there is one."""
import json
import sys

import tokenizers

tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
differences = 0
lines = 0
with open(sys.argv[2]) as samples, open(sys.argv[3]) as dump:
    for sample, ours in zip(samples, dump, strict=True):
        text, ours = json.loads(sample), json.loads(ours)
        lines += 1
        encoding = tokenizer.encode(text, add_special_tokens=False)
        wanted = {
            "ids": encoding.ids,
            "same": True,
            "offsets": [list(o) for o in encoding.offsets],
            "text": tokenizer.decode(encoding.ids, skip_special_tokens=False),
            "plain": tokenizer.decode(encoding.ids, skip_special_tokens=True),
            "special": tokenizer.encode(text).ids,
        }
        wanted["streamed"] = wanted["text"]
        for key, value in wanted.items():
            if ours[key] != value:
                differences += 1
                if differences <= 5:
                    print(f"{key} of {text[:80]!r}:\n  ours {str(ours[key])[:300]}\n  package {str(value)[:300]}")
print(f"{lines} texts, {differences} differences")
sys.exit(differences > 0)
