#!/usr/bin/env bash
# Measures every way to correct a model side by side, on the models of ../shared, and draws the tables and figures of the
# documentation anew. What build/field holds already is not run again, so that a run may be cut off and taken up.
#
#     bash scripts/benchmarks/field.sh                      # all parts; days on two cores
#     bash scripts/benchmarks/field.sh single survival      # some of: single docs curves survival draw
#     bash scripts/benchmarks/field.sh --reduced            # a few requests of each, in half an hour on two cores
#
# A reduced run writes no records: it holds what it finds against them. FAIRSEQ_ROME_PYTHON names a Python that has all
# that is needed; without it the environment is that of scripts/test.sh. FAIRSEQ_ROME_SHARED names another folder than
# ../shared, FAIRSEQ_ROME_EDITOR an editor of fairseq-edit-train-editor for the model of Multi30k, without which mend is
# left out.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
cd "$repository"

reduced=
parts=()
for word in "$@"; do
    case "$word" in
        --reduced) reduced=yes ;;
        single | docs | curves | survival | draw) parts+=("$word") ;;
        *) fail "field.sh: $word is no part, expected --reduced or some of single docs curves survival draw" ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(single docs curves survival draw)

if [ -n "${FAIRSEQ_ROME_PYTHON:-}" ]; then
    PATH="$(cd "$(dirname "$FAIRSEQ_ROME_PYTHON")" && pwd):$PATH"
else
    use_environment
fi
# One thread each: two processes of several threads spin against one another, and seconds are those of one core.
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore PYTHONPATH="$repository${PYTHONPATH:+:$PYTHONPATH}"
shared="${FAIRSEQ_ROME_SHARED:-../shared}"
bench=scripts/benchmarks
out=build/field
told=--record
if [ -n "$reduced" ]; then
    out=build/field/reduced
    told=--compare
fi
mkdir -p "$out"

methods=(gated rome alphaedit nse ultraedit memit emmet finetune ogd knn grace rules corrector constrained)
[ -z "${FAIRSEQ_ROME_EDITOR:-}" ] || methods+=(mend)

# field FILE BED METHOD OPTION...: single edits by one method.
field() {
    local editor=()
    [ "$3" != mend ] || editor=(--set "edit_editor=$FAIRSEQ_ROME_EDITOR")
    python "$bench/benchmark_field.py" "$2" --set "method=$3" "${editor[@]}" --multi30k "$shared/multi30k" \
        --docs "$shared/docs" --out "$out/$1.jsonl" "$told" "${@:4}"
}

single() {
    local method
    for method in "${methods[@]}"; do
        if [ -n "$reduced" ]; then
            field single multi30k "$method" --file term --every 19 --test 300 --unrelated 100
        else
            field single multi30k "$method" --file term
            field single multi30k "$method" --file natural
            field single multi30k "$method" --file segment --every 6
        fi
    done
}

docs() {
    [ -d build/docs/data-bin ] || { mkdir -p build/docs && tar xJf "$shared/docs/data-bin.tar.xz" -C build/docs; }
    local method bed
    if [ -n "$reduced" ]; then
        for method in gated knn; do
            field docs es "$method" --limit 1 --test 100 --unrelated 50
        done
        return
    fi
    for bed in es zh ja; do
        for method in "${methods[@]}"; do
            [ "$method" = mend ] || field docs "$bed" "$method" --limit 4 --test 500
        done
    done
}

# curve COUNTS SEEDS METHODS OPTION...: many edits, to be drawn from one file.
curve() {
    local counts seeds names
    read -ra counts <<<"$1" && read -ra seeds <<<"$2" && read -ra names <<<"$3"
    python "$bench/benchmark_curves.py" measure --data "$shared/multi30k" --requests "$out/mined.jsonl" \
        --set edit_contexts=0 --method "${names[@]}" --seed "${seeds[@]}" --counts "${counts[@]}" \
        --out "$out/curves.jsonl" "${@:4}"
}

curves() {
    local sentences=() model="$shared/multi30k/model" before
    [ -z "$reduced" ] || sentences=(--sentences 300)
    [ -f "$out/mined.jsonl" ] || python -m fairseq_rome.cli.requests mine "$model" --path "$model/model.pt" -s en -t de \
        --beam 4 --bpe sentencepiece --sentencepiece-model "$model/spm.model" --task segment --test-set train --probes 2 \
        "${sentences[@]}" --out "$out/mined.jsonl"
    before="$(cksum "$out/curves.jsonl" 2>/dev/null || true)"
    if [ -n "$reduced" ]; then
        curve "1 16" 1 gated --set widen=true --set edit_tries=8
        curve "1 16" 1 "rome ultraedit" --set edit_tries=2
        python "$bench/benchmark_curves.py" draw "$out/curves.jsonl"
        return
    fi
    local counts="1 4 16 64 256 1024"
    curve "$counts 4096" "1 2 3" gated --set widen=true --set edit_tries=8 --set edit_stats_tokens=400000
    curve "$counts" "1 2 3" "rome alphaedit nse ultraedit memit emmet finetune ogd" --set edit_tries=2
    curve "$counts" "1 2 3" fine-tuning
    [ "$before" = "$(cksum "$out/curves.jsonl")" ] ||
        python "$bench/benchmark_curves.py" draw "$out/curves.jsonl" --figure docs/images/curves.svg --record
}

survival() {
    local ways=() method
    if [ -n "$reduced" ]; then
        python "$bench/benchmark_survival.py" --multi30k "$shared/multi30k" --every 6 --way int8 --way averaged \
            --out "$out/survival.jsonl"
        return
    fi
    for method in gated rome alphaedit nse ultraedit memit emmet finetune ogd; do
        python "$bench/benchmark_survival.py" --multi30k "$shared/multi30k" --method "$method" \
            --out "$out/survival.jsonl" --record
    done
    python "$bench/benchmark_survival.py" --multi30k "$shared/multi30k" --set edit_for=int8 --out "$out/survival.jsonl" --record
    python "$bench/benchmark_survival.py" --multi30k "$shared/multi30k" --way trained --updates 2000 \
        --out "$out/survival.jsonl" --record
}

draw() {
    python "$bench/draw_docs.py"
}

run() {
    local part
    for part in "$@"; do
        echo "== $part"
        "$part"
    done
}

if [ -n "$reduced" ] && [ ${#parts[@]} -gt 1 ]; then
    # The first part takes about as long as all others, so that each core has one half.
    log="$out/${parts[0]}.log"
    run "${parts[0]}" >"$log" 2>&1 &
    first=$!
    run "${parts[@]:1}"
    wait "$first" || { tail -n 15 "$log" >&2 && fail "field.sh: ${parts[0]} failed, see $log"; }
    cat "$log"
else
    run "${parts[@]}"
fi
