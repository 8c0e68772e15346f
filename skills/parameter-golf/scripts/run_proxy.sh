#!/bin/sh
# One training run in a directory of its own: a fixed number of steps with the schedule scaled to them, or the full run.
#
#   run_proxy.sh NAME STEPS [SCRIPT]        SCRIPT defaults to ./train_gpt.py; knobs come from the environment
#   MLP_MULT=3 run_proxy.sh mlp3 1000
#   SEED=42 GPUS=1 run_proxy.sh control-42 1000
#   run_proxy.sh final-1337 full            600 s on 8 H100 SXM, refused elsewhere unless ANY_GPU=1
#
# Run it in the checkout. It writes runs/NAME/ (RUNS_ROOT/NAME if that is set): train.log, run.json (settings and
# hardware), diff.patch, the artifact, and result.json, which is parse_log.py's answer. Data comes from DATA_ROOT (data/).
# CONTROL=<log> adds the difference to that run. While it trains, and at its end, it prints `METRIC name=value` lines on
# standard error.
# Exit code: 0 scored and within the byte limit, 1 not, 2 wrong call, else the training's own.
set -eu

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "run_proxy: $1" >&2; exit 2; }

[ $# -ge 2 ] || usage
name=$1 steps=$2 script=${3:-train_gpt.py}
case $name in *[!A-Za-z0-9._-]*|.*|'') fail "NAME may hold letters, digits, dot, dash and underscore" ;; esac
case $steps in
  full) gpus=${GPUS:-8} ;;
  *[!0-9]*|''|0*) fail "STEPS must be a whole number above 0, or full" ;;
  *) gpus=${GPUS:-1} ;;
esac
[ -f "$script" ] || fail "there is no $script here; run this in the checkout"
case $gpus in 1|2|4|8) ;; *) fail "GPUS must be 1, 2, 4 or 8: the batch is split in 8 parts" ;; esac

here=$(cd "$(dirname "$0")" && pwd)
root=$(pwd)
script=$(cd "$(dirname "$script")" && pwd)/$(basename "$script")
runs=${RUNS_ROOT:-$root/runs}
dir=$runs/$name
[ ! -e "$dir" ] || fail "$dir exists; the model files have fixed names, so take a new NAME"
if [ "$steps" = full ] && [ -z "${ANY_GPU:-}" ]; then
  found=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null) || found=
  right=$(printf '%s\n' "$found" | grep -c '^NVIDIA H100 80GB HBM3$') || true
  [ "$gpus" = 8 ] && [ "$right" = 8 ] || fail "the full run counts on 8 x NVIDIA H100 80GB HBM3 (gpu \"H100!:8\"), here: $(
    printf '%s' "${found:-no GPU}" | tr '\n' ',')"
fi

export RUN_ID="$name"
if [ "$steps" = full ]; then
  export ITERATIONS="${ITERATIONS:-20000}" MAX_WALLCLOCK_SECONDS=600
  planned=13780 # what the baseline reaches
else
  export ITERATIONS="$steps" MAX_WALLCLOCK_SECONDS=0 WARMDOWN_ITERS="${WARMDOWN_ITERS:-$(( (steps * 9 + 99) / 100 ))}"
  planned=$steps
fi
# One machine needs no InfiniBand, and looking for it can fail or hang in a container.
[ "$gpus" = 1 ] || export NCCL_IB_DISABLE="${NCCL_IB_DISABLE:-1}"
export VAL_LOSS_EVERY="${VAL_LOSS_EVERY:-0}" TRAIN_LOG_EVERY="${TRAIN_LOG_EVERY:-50}" SEED="${SEED:-1337}"
vocab=${VOCAB_SIZE:-1024}
export VOCAB_SIZE="$vocab"
data=${DATA_ROOT:-$root/data}
export DATA_PATH="${DATA_PATH:-$data/datasets/fineweb10B_sp$vocab}"
export TOKENIZER_PATH="${TOKENIZER_PATH:-$data/tokenizers/fineweb_${vocab}_bpe.model}"
case $DATA_PATH in /*) ;; *) DATA_PATH=$root/$DATA_PATH ;; esac
case $TOKENIZER_PATH in /*) ;; *) TOKENIZER_PATH=$root/$TOKENIZER_PATH ;; esac
[ -d "$DATA_PATH" ] || fail "no data at $DATA_PATH"
[ -f "$TOKENIZER_PATH" ] || fail "no tokenizer at $TOKENIZER_PATH"
shards=$(find "$DATA_PATH"/ -name 'fineweb_train_*.bin' | wc -l)
need=$(( (planned * ${TRAIN_BATCH_TOKENS:-524288} + 99999999) / 100000000 ))
[ "$shards" -gt 0 ] || fail "no training shards in $DATA_PATH"
[ "$shards" -ge "$need" ] || echo "run_proxy: $planned steps want $need shards, there are $shards: data will repeat" >&2

mkdir -p "$dir"
cp "$script" "$dir/train_gpt.py"
git -C "$root" diff HEAD > "$dir/diff.patch" 2>/dev/null || true
python3 - "$dir/run.json" "$gpus" <<'PY'
import json, os, subprocess, sys

def ask(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None

names = (ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()
knobs = ("SEED", "ITERATIONS", "WARMDOWN_ITERS", "MAX_WALLCLOCK_SECONDS", "VOCAB_SIZE", "TRAIN_BATCH_TOKENS",
         "TRAIN_SEQ_LEN", "NUM_LAYERS", "MODEL_DIM", "NUM_HEADS", "NUM_KV_HEADS", "MLP_MULT", "MATRIX_LR", "SCALAR_LR",
         "TIED_EMBED_LR", "MUON_MOMENTUM", "MUON_MOMENTUM_WARMUP_STEPS", "QK_GAIN_INIT", "LOGIT_SOFTCAP",
         "GRAD_CLIP_NORM")
run = {"gpu_name": names[0] if names else None, "gpu_count": int(sys.argv[2]),
       "base_commit": ask("git", "rev-parse", "HEAD"), "knobs": {k: os.environ[k] for k in knobs if k in os.environ}}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(run, file, indent=2)
PY

cd "$dir"
code=0
began=$(date +%s)
{ torchrun --standalone --nproc_per_node="$gpus" train_gpt.py 2>&1 || echo $? > exit-code; } |
  python3 "$here/parse_log.py" train.log --tee >&2
[ ! -f exit-code ] || code=$(cat exit-code)
set -- --final --wall "$(( $(date +%s) - began ))"
case ${CONTROL:-} in
  '') ;;
  /*) set -- "$@" --against "$CONTROL" ;;
  *) set -- "$@" --against "$root/$CONTROL" ;;
esac
verdict=0
python3 "$here/parse_log.py" train.log "$@" > result.json || verdict=$?
sync "$dir" 2>/dev/null || true # commits a Modal volume of version 2
cat result.json
python3 "$here/parse_log.py" train.log "$@" --lines >&2 || true
if [ "$code" -ne 0 ]; then
  echo "run_proxy: training ended with exit code $code; last lines:" >&2
  tail -n 15 train.log >&2
  exit "$code"
fi
exit "$verdict"
