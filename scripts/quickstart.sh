#!/usr/bin/env bash
# Edits the demo model, shows what stock fairseq-generate says before and after, and what to look at next. What it writes
# is in build/quickstart. Uses .venv, which it makes, or the virtual environment that FAIRSEQ_ROME_VENV names.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"
use_environment

demo=scripts/demo
out=build/quickstart
rm -rf "$out"
mkdir -p "$out"

# logged NAME COMMAND...: runs COMMAND with its output in build/quickstart/NAME.log, of which failure shows the end.
logged() {
    "${@:2}" >"$out/$1.log" 2>&1 || { tail -n 15 "$out/$1.log" >&2 && fail "failed: ${*:2}"; }
}

# generate NAME CHECKPOINT [ARGUMENT...]: each source with the translation that fairseq-generate gives, in the order of the file.
generate() {
    logged "$1" fairseq-generate "$out/data-bin" --path "$2" -s en -t de --required-batch-size-multiple 1 \
        --bpe sentencepiece --sentencepiece-model "$demo/spm.model" "${@:3}"
    sed -nE 's/^D-([0-9]+)\t[^\t]*\t/\1\t/p' "$out/$1.log" | sort -n | cut -f2 |
        paste -d '\n' "$demo/fixes.en" - | sed 'n;s/^/    -> /'
}

# fairseq-generate reads binarised text: the requests as a test set, with the model's own subwords and dictionaries.
for language in en de; do
    python -c 'import sys, sentencepiece
pieces = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
for line in sys.stdin.read().splitlines():
    print(*pieces.encode(line, out_type=str))' "$demo/spm.model" <"$demo/fixes.$language" >"$out/fixes.$language"
done
logged preprocess fairseq-preprocess -s en -t de --testpref "$out/fixes" --destdir "$out/data-bin" \
    --srcdict "$demo/data-bin/dict.en.txt" --tgtdict "$demo/data-bin/dict.de.txt"

# With torch 2.6 and newer, stock fairseq opens a file of fairseq-train only if a plugin allows its globals.
echo "== before: fairseq-generate, the model as it was trained"
generate before "$demo/model.pt" --user-dir fairseq_rome

echo "== the edit"
started=$SECONDS
fairseq-edit "$demo/data-bin" --path "$demo/model.pt" --edit-pref "$demo/fixes" -s en -t de \
    --bpe sentencepiece --sentencepiece-model "$demo/spm.model" --save-to "$out/edited.pt" --report "$out/report" \
    --save-patch "$out/fixes.safetensors"
echo "($((SECONDS - started)) s)"

echo "== after: fairseq-generate, the edited checkpoint, without a plugin"
generate after "$out/edited.pt"

cat <<NEXT

== what to look at next
The proof: open $out/report/report.html in a browser. It shows every request, and which of 100 other
sentences changed. $(python -c '
import json, sys
counts = json.load(open(sys.argv[1]))["counts"]
wanted, broken, others = counts["as_wanted"], counts["broken"], counts["unrelated"]
print(f"{wanted} changed as wanted: they hold the trigger of an edit, and its words alone were")
print(f"replaced. Of the {others} that should have stayed, {broken} changed, which would be damage.")
' "$out/report/report.json")

What the edit is, in the file that holds it alone:
    fairseq-edit-patch show $out/fixes.safetensors

How to read what was printed, line by line: docs/getting-started.md

Your own model: write a sentence that it translates wrongly to fixes.SRC and the right translation to fixes.TGT, look at
them, and edit, with the options that you give fairseq-generate (--bpe, --tokenizer, --beam ...):
    fairseq-edit-requests check fixes -s SRC -t TGT
    fairseq-edit DATA --path model.pt --edit-pref fixes -s SRC -t TGT ... --save-to edited.pt --report report
The commands are in $(dirname "$(type -P fairseq-edit)"); docs/requests.md says what else a request can tell.
NEXT
