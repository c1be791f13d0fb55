#!/usr/bin/env bash
# Flies the campaigns whose summaries stand in tests/data/campaigns, from the same seeds: about two hours on two cores.
#
#     cargo build --release
#     tests/campaigns.sh target/release/alight out/campaigns [NAME...]
#
# NAME is noisy, takeover, network or faults; without any, all of them. These seeds were flown for these figures alone: nothing was
# developed on them (400000 to 400999 and 500000 to 500999 were looked at afterwards, and are for development now).
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0"
  exit 2
fi
alight=$1
out=$2
shift 2
fly() {
  local name=$1
  shift
  printf '== %s\n' "$name"
  "$alight" sim "$@" --out "$out/$name"
}
for name in "${@:-all}"; do
  case $name in
    all) exec "$0" "$alight" "$out" noisy takeover network faults ;;
    noisy) fly noisy --segmenter noisy --seed 600000 --flights 1000 ;;
    faults) fly faults --segmenter noisy --seed 610000 --flights 500 --faults random ;;
    takeover) fly takeover --segmenter noisy --seed 620000 --flights 1000 --faults takeover ;;
    network) fly network --segmenter network --seed 630000 --flights 60 ;;
    *)
      echo "no campaign $name: noisy, takeover, network or faults" >&2
      exit 2
      ;;
  esac
done
