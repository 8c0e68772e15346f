#!/bin/sh
# Downloads the training shards in portions, so that the Hugging Face cache never holds more than one portion of them.
#
#   get_data.sh SHARDS [FOLDER] [VARIANT]   FOLDER defaults to DATA_ROOT, else ./data; VARIANT to sp1024
#   get_data.sh 80 /data                    the full run's data on a volume
#
# Run it in the checkout. data/cached_challenge_fineweb.py hard-links a shard out of the cache where both are on one file
# system, and copies it where they are not, as with a volume: then all 16 GB would be there twice until the end. Shards that
# are there already are not downloaded again, so it can be repeated after an interruption. PORTION=10 shards are 2 GB.
# Exit code: 0 all are there, 1 not, 2 wrong call, else the download's own.
set -eu

fail() { echo "get_data: $1" >&2; exit "${2:-2}"; }

[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shards=$1 folder=${2:-${DATA_ROOT:-}} variant=${3:-sp1024} portion=${PORTION:-10}
for count in "$shards" "$portion"; do
  case $count in *[!0-9]*|''|0*) fail "SHARDS and PORTION must be whole numbers above 0" ;; esac
done
[ -f data/cached_challenge_fineweb.py ] || fail "there is no data/cached_challenge_fineweb.py here; run this in the checkout"

if [ -n "$folder" ]; then
  for part in datasets tokenizers; do
    mkdir -p "$folder/$part"
    [ -e "data/$part" ] || ln -s "$(cd "$folder/$part" && pwd)" "data/$part"
  done
  [ "$(cd data/datasets && pwd -P)" = "$(cd "$folder/datasets" && pwd -P)" ] ||
    fail "data/datasets exists and is not $folder/datasets; move its files there and remove it"
fi

cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
trap 'exit 130' INT TERM
upto=0
while [ "$upto" -lt "$shards" ]; do
  upto=$(( upto + portion ))
  [ "$upto" -le "$shards" ] || upto=$shards
  HF_HOME=$cache python3 data/cached_challenge_fineweb.py --variant "$variant" --train-shards "$upto"
  rm -rf "$cache"/* # a link that is left in data/ keeps its shard
  echo "get_data: $upto of $shards shards"
done

there=$(find data/datasets/ -path "*_$variant/fineweb_train_*.bin" | wc -l)
[ "$there" -ge "$shards" ] || fail "$there of $shards shards are there" 1
sync "${folder:-data}" 2>/dev/null || true # commits a Modal volume of version 2
