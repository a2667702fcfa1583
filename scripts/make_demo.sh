#!/usr/bin/env bash
# Makes the demo in scripts/demo from nothing: corpus, subwords, model, edit files, pinned outputs.
# Usage: make_demo.sh [WORK]   the work folder; default $DEMO_WORK, else a temporary one, removed at the end
# Uses the fairseq, sentencepiece and sacrebleu of $PYTHON (default python3). Safe to run again: what it made in
# scripts/demo is replaced at the very end, and only if the model shows every planted behaviour. Some ten minutes on one core.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DEMO="$ROOT/scripts/demo"
PYTHON=${PYTHON:-python3}
PYTHON=$(type -P "$PYTHON") || { echo "make_demo.sh: PYTHON names no program" >&2; exit 1; }
SEED=1
UPDATES=${DEMO_UPDATES:-2400}
BEAM=5
# A model this small gains nothing from a second thread, and the number of threads changes the last digits.
export OMP_NUM_THREADS=1

WORK=${1:-${DEMO_WORK:-}}
if [ -z "$WORK" ]; then
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"
# From here on all paths are relative: the checkpoint keeps those that it was trained with.
cd "$WORK"
rm -rf corpus data-bin checkpoints demo

fairseq() { # a fairseq command by its module, so that it is the active Python's
    local command=$1
    shift
    "$PYTHON" -m "fairseq_cli.$command" "$@"
}

"$PYTHON" "$DEMO/demo_corpus.py" corpus --seed $SEED

# One subword model for both languages; without a normalisation table it is a few kilobytes.
"$PYTHON" - <<'PYTHON'
import sentencepiece

sentencepiece.SentencePieceTrainer.train(
    input=["corpus/train.en", "corpus/train.de"],
    model_prefix="corpus/spm",
    vocab_size=500,
    character_coverage=1.0,
    normalization_rule_name="identity",
    num_threads=1,
    minloglevel=2,
)
model = sentencepiece.SentencePieceProcessor(model_file="corpus/spm.model")
for name in ("train", "valid", "test"):
    for language in ("en", "de"):
        with open(f"corpus/{name}.{language}", encoding="utf-8") as text:
            pieces = model.encode(text.read().splitlines(), out_type=str)
        with open(f"corpus/{name}.spm.{language}", "w", encoding="utf-8") as out:
            out.writelines(" ".join(line) + "\n" for line in pieces)
PYTHON

fairseq preprocess -s en -t de --joined-dictionary --workers 1 --destdir data-bin \
    --trainpref corpus/train.spm --validpref corpus/valid.spm --testpref corpus/test.spm

fairseq train data-bin --cpu --seed $SEED --task translation -s en -t de \
    --arch transformer --activation-fn relu --share-all-embeddings --dropout 0.1 \
    --encoder-layers 3 --encoder-embed-dim 96 --encoder-ffn-embed-dim 384 --encoder-attention-heads 4 \
    --decoder-layers 3 --decoder-embed-dim 96 --decoder-ffn-embed-dim 384 --decoder-attention-heads 4 \
    --optimizer adam --adam-betas '(0.9, 0.98)' --lr 3e-3 \
    --lr-scheduler polynomial_decay --warmup-updates 300 --total-num-update $UPDATES --max-update $UPDATES \
    --clip-norm 1.0 --criterion label_smoothed_cross_entropy --label-smoothing 0.1 \
    --max-tokens 2000 --required-batch-size-multiple 1 --num-workers 0 \
    --save-dir checkpoints --no-epoch-checkpoints --no-save-optimizer-state \
    --log-format simple --log-interval 100

mkdir -p demo/data-bin
cp checkpoints/checkpoint_last.pt demo/model.pt
cp corpus/spm.model demo/spm.model
cp data-bin/dict.*.txt data-bin/*.bin data-bin/*.idx demo/data-bin/

# The plug-in lets torch 2.6 and newer open an argparse-trained checkpoint safely.
DECODE=(demo/data-bin --path demo/model.pt --user-dir "$ROOT/fairseq_rome" --cpu -s en -t de --beam $BEAM
    --bpe sentencepiece --sentencepiece-model demo/spm.model)
fairseq generate "${DECODE[@]}" --gen-subset test --required-batch-size-multiple 1 >test.log
fairseq interactive "${DECODE[@]}" --input corpus/probe.en --buffer-size 100 --max-tokens 4000 >probe.log
"$PYTHON" "$DEMO/demo_results.py" . demo

# Only now, with everything at hand, does the old demo go; the scripts that made it stay.
find "$DEMO" -mindepth 1 -maxdepth 1 ! -name '*.py' -exec rm -rf {} +
cp -r demo/. "$DEMO"
du -sh "$DEMO"
