#!/usr/bin/env bash
# Fetches the Swift packages that mmdist is built from; where a server fails, it is asked again.
#   cluster/dependencies.sh [OPTION of swift package …]      such as the --scratch-path of the build that follows
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for pause in 5 10 20; do
  swift package "$@" resolve && exit
  echo "dependencies: could not be fetched; trying again in $pause s" >&2
  sleep "$pause"
done
swift package "$@" resolve
