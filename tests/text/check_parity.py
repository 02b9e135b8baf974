"""check_parity.py TOKENIZER SAMPLES DUMP [MODEL]: compares what Pawl gave for the samples (one JSON string a line; DUMP has a line
for each) with the tokenizers package: ids, offsets, decoded text, the text as it was streamed, and the ids with the template's
tokens. MODEL: a SentencePiece model, whose own ids and text are compared too, for texts without added tokens. Prints the first
differences; exit code 1 where there is one. Run by parity_peer_test.cc."""
import json
import sys

import tokenizers

tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
model = None
if len(sys.argv) > 4:
    import sentencepiece
    model = sentencepiece.SentencePieceProcessor(model_file=sys.argv[4])
differences = tokens = lines = own_lines = 0
with open(sys.argv[2]) as samples, open(sys.argv[3]) as dump:
    for sample, line in zip(samples, dump, strict=True):
        text, ours = json.loads(sample), json.loads(line)
        lines += 1
        encoding = tokenizer.encode(text, add_special_tokens=False)
        tokens += len(encoding.ids)
        wanted = {
            "ids": encoding.ids,
            "same": True,
            "offsets": [list(o) for o in encoding.offsets],
            "text": tokenizer.decode(encoding.ids, skip_special_tokens=False),
            "plain": tokenizer.decode(encoding.ids, skip_special_tokens=True),
            "special": tokenizer.encode(text).ids,
        }
        wanted["streamed"] = wanted["text"]
        compared = [(key, ours[key], value) for key, value in wanted.items()]
        if model and not any(token in text for token in added):
            own_lines += 1
            ids = model.encode(text)
            compared += [("sentencepiece's ids", ours["ids"], ids), ("sentencepiece's text", ours["text"], model.decode(ids))]
        for key, mine, theirs in compared:
            if mine != theirs:
                differences += 1
                if differences <= 5:
                    print(f"{key} of {text[:80]!r}:\n  ours {str(mine)[:300]}\n  package {str(theirs)[:300]}")
print(f"{lines} texts, {tokens} tokens, {own_lines} beside sentencepiece, {differences} differences")
sys.exit(differences > 0 or lines < 5000 or (model is not None and own_lines < 5000))
