#!/usr/bin/env bash
# Runs edit, eval, locate, apply and revert on an accelerator, in single and in half precision, on the demo model and on the
# model of ../shared/docs where it is there. Without an accelerator it says that it was skipped. It takes minutes.
#
#     bash scripts/device.sh          # as fairseq does, the commands take the GPU that torch sees, unless --cpu is given
#     bash scripts/device.sh --cpu    # the same without one, to try the script itself
#
# FAIRSEQ_ROME_PYTHON names the Python, whose torch sees the accelerator. Packages that it lacks may lie as wheels in the
# folder that FAIRSEQ_ROME_WHEELS names; no network is needed. FAIRSEQ_ROME_SHARED names another folder than ../shared.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$repository"

python="${FAIRSEQ_ROME_PYTHON:-python3}"
shared="${FAIRSEQ_ROME_SHARED:-../shared}"
out=build/device
device=()
limit=240 # seconds a step
quick=(--edit-contexts 16 --edit-sample 20 --edit-stats-tokens 20000)
if [ "${1:-}" = --cpu ]; then
    device=(--cpu)
    limit=1800
    echo "on the CPU"
elif ! "$python" -c 'import torch; assert torch.cuda.is_available(); print("on", torch.cuda.get_device_name(0))' 2>/dev/null; then
    echo "skipped: $python has no torch that sees an accelerator (--cpu runs the same without one)"
    exit 0
fi

rm -rf "$out"
mkdir -p "$out"
if [ -n "${FAIRSEQ_ROME_WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --target "$out/packages" "$FAIRSEQ_ROME_WHEELS"/*.whl
fi
export PYTHONPATH="$repository:$repository/$out/packages${PYTHONPATH:+:$PYTHONPATH}"
failed=0

# step NAME EXPECTED COMMAND...: runs COMMAND with its output in build/device/NAME.log, which must hold EXPECTED.
step() {
    local started=$SECONDS log="$out/$1.log" state=ok
    timeout "$limit" "$python" -m "${@:3}" >"$log" 2>&1 && grep -qF -e "$2" "$log" || state=FAILED
    echo "$state  $1 ($((SECONDS - started)) s)"
    [ "$state" = ok ] && return
    failed=1
    tail -n 15 "$log" >&2
}

# try_model NAME REQUESTS: every command on the model whose options are in `model`.
try_model() {
    local name="$1" requests="$2" precision half edited patch
    for precision in single half; do
        half=()
        [ "$precision" = half ] && half=(--fp16)
        [ "$precision" = half ] && [ "${#device[@]}" -gt 0 ] && continue # fairseq itself computes in single precision there
        edited="$out/$name.$precision.pt" patch="$out/$name.$precision.safetensors"
        step "$name.$precision.edit" "1 request: 1 edited" fairseq_rome.cli.edit "${model[@]}" "${half[@]}" \
            --edit-pref "$requests" "${quick[@]}" --edit-cache none --save-to "$edited" --save-patch "$patch"
        step "$name.$precision.eval" "holds" fairseq_rome.cli.eval "${model[@]}" "${half[@]}" \
            --edit-pref "$requests" --edited "$edited" --edit-sample 20 --edit-cache none
        step "$name.$precision.load-time" "holds" fairseq_rome.cli.eval "${model[@]}" "${half[@]}" \
            --edit-pref "$requests" --edit-patches "$patch" --edit-sample 20 --edit-cache none
        step "$name.$precision.revert" "bit for bit those of the unedited checkpoint" fairseq_rome.cli.patch \
            revert "$edited" --all --save-to "$out/$name.$precision.back.pt"
    done
    step "$name.locate" "decoder" fairseq_rome.cli.locate "${model[@]}" --edit-pref "$requests" --save-dir "$out/$name.traces" \
        --locate-samples 4
}

demo=scripts/demo
model=("$demo/data-bin" --path "$demo/model.pt" -s en -t de --bpe sentencepiece --sentencepiece-model "$demo/spm.model"
    --no-progress-bar "${device[@]}")
try_model demo "$demo/term"
step demo.stock "Verkäufer" fairseq_cli.interactive "$demo/data-bin" --path "$out/demo.single.pt" -s en -t de \
    --bpe sentencepiece --sentencepiece-model "$demo/spm.model" --input "$demo/term.en" "${device[@]}"

docs="$shared/docs"
if [ -f "$docs/model.pt" ]; then
    data=build/docs/data-bin
    [ -d "$data" ] || { mkdir -p build/docs && tar xJf "$docs/data-bin.tar.xz" -C build/docs; }
    head -n 1 "$docs/requests/es.jsonl" >"$out/docs.jsonl"
    model=("$data" --path "$docs/model.pt" --task translation_multi_simple_epoch --langs en,de,fr,es,pt,zh,ja
        --lang-pairs en-de,en-fr,en-es,en-pt,en-zh,en-ja --encoder-langtok src --decoder-langtok -s en -t es
        --bpe sentencepiece --sentencepiece-model "$docs/spm.model" --beam 4 --no-progress-bar "${device[@]}")
    try_model docs "$out/docs.jsonl"
else
    echo "skipped: no $docs/model.pt"
fi

echo "$SECONDS s in all"
exit "$failed"
