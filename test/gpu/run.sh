#!/usr/bin/env bash
# Tries dynamo on the GPUs of this machine, with the engines that are installed: plans, serves, checks, stops.
# Prints what was covered and what was not. Exit status: 0 unless something that could be tried went wrong.
#
#   test/gpu/run.sh [FOLDER]          FOLDER keeps recipes, plans and logs (default: a new one in the folder for temporary files)
#   DYNAMO_TEST_MODEL=/path/to/model  a small model; by default Qwen/Qwen3-0.6B, which the engines download
#   DYNAMO_TEST_GGUF=/path/to/a.gguf  one for llama.cpp
set -uo pipefail
cd "$(dirname "$0")/../.."
model=${DYNAMO_TEST_MODEL:-Qwen/Qwen3-0.6B}
covered=()
missing=()
failed=()

finish() {
  echo
  echo 'covered:'
  if [ "${#covered[@]}" -eq 0 ]; then echo '  nothing'; else printf '  %s\n' "${covered[@]}"; fi
  if [ "${#failed[@]}" -gt 0 ]; then echo 'FAILED:'; printf '  %s\n' "${failed[@]}"; fi
  if [ "${#missing[@]}" -gt 0 ]; then echo 'not covered:'; printf '  %s\n' "${missing[@]}"; fi
  if [ "${#failed[@]}" -gt 0 ]; then exit 1; fi
  if [ "${#covered[@]}" -eq 0 ]; then echo "nothing covered: $1"; fi
  exit 0
}

everything='vLLM, SGLang, TensorRT-LLM and llama.cpp on GPUs: planning, serving, KV transfer between prefill and decode'
if ! command -v nvidia-smi >/dev/null; then
  echo 'GPUs: none (nvidia-smi is not installed)'
  missing+=("$everything")
  finish 'this machine has no NVIDIA GPU'
fi
if ! gpus=$(nvidia-smi --query-gpu=index,name,memory.total,driver_version --format=csv,noheader 2>&1) || [ -z "$gpus" ]; then
  echo "GPUs: none that work (nvidia-smi says: $(printf '%s' "$gpus" | head -n 1))"
  missing+=("$everything")
  finish 'nvidia-smi finds no GPU that works'
fi
count=$(printf '%s\n' "$gpus" | wc -l)
echo "GPUs: $count"
printf '  %s\n' "$gpus"

folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/dynamo-gpu-XXXXXX")}
mkdir -p "$folder"
# A short path of its own for the state: nobody else's deployments, and sockets that fit.
home=$(mktemp -d "${TMPDIR:-/tmp}/dynamo-gpu-state-XXXXXX")
trap 'rm -rf "$home"' EXIT
export DYNAMO_HOME=$home
echo "recipes, plans and logs: $folder"

# try NAME GPUS RECIPE [--set …]: plans and smokes it, if there are as many GPUs.
try() {
  local name=$1 needed=$2 recipe=$3
  shift 3
  if [ "$count" -lt "$needed" ]; then
    missing+=("$name: needs $needed GPUs, this machine has $count")
    return
  fi
  echo "$name: planning"
  if ! ./bin/dynamo plan "$recipe" "$@" >"$folder/$name.plan.txt" 2>&1; then
    tail -n 20 "$folder/$name.plan.txt"
    failed+=("$name: no plan, see $folder/$name.plan.txt")
    return
  fi
  echo "$name: serving, checking, stopping"
  if ./bin/dynamo smoke "$recipe" "$@" >"$folder/$name.smoke.txt" 2>&1; then
    tail -n 1 "$folder/$name.smoke.txt"
    covered+=("$name: $(tail -n 1 "$folder/$name.smoke.txt")")
  else
    tail -n 40 "$folder/$name.smoke.txt"
    failed+=("$name: see $folder/$name.smoke.txt")
  fi
}

# recipe NAME ENGINE WORKERS [MODEL]: writes a recipe, prints its path.
recipe() {
  printf 'name: gpu-%s\ndescription: %s on the GPUs of this machine\nmodel: %s\nengine: %s\nworkers:\n%s\n' \
    "$1" "$2" "${4:-$model}" "$2" "$3" >"$folder/$1.yaml"
  echo "$folder/$1.yaml"
}

one='  aggregated: { gpus: 1 }'
pair=$'  prefill: { gpus: 1 }\n  decode: { gpus: 1 }'

if command -v vllm >/dev/null; then
  vllm --version 2>/dev/null | tail -n 1
  try vllm-aggregated 1 recipes/vllm-aggregated.yaml --set "model=$model"
  try vllm-1p1d-shared-gpu 1 recipes/qwen3-0.6b-shared-gpu.yaml --set "model=$model"
  try vllm-1p1d 2 recipes/vllm-disaggregated-2gpu.yaml --set "model=$model"
else
  missing+=('vLLM: `vllm` is not on PATH')
fi

if python3 -c 'import sglang' 2>/dev/null; then
  try sglang-aggregated 1 "$(recipe sglang-aggregated sglang "$one")"
  try sglang-1p1d 2 "$(recipe sglang-1p1d sglang "$pair")"
else
  missing+=('SGLang: python3 cannot import sglang')
fi

if command -v trtllm-serve >/dev/null; then
  try trtllm-aggregated 1 "$(recipe trtllm-aggregated trtllm "$one")"
  try trtllm-1p1d 2 "$(recipe trtllm-1p1d trtllm "$pair")"
else
  missing+=('TensorRT-LLM: `trtllm-serve` is not on PATH')
fi

if ! command -v llama-server >/dev/null; then
  missing+=('llama.cpp: `llama-server` is not on PATH')
elif [ -z "${DYNAMO_TEST_GGUF:-}" ]; then
  missing+=('llama.cpp: DYNAMO_TEST_GGUF names no model')
else
  try llamacpp 1 "$(recipe llamacpp llamacpp "$one" "$DYNAMO_TEST_GGUF")"
fi

finish 'no engine is installed'
