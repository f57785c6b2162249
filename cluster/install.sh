#!/usr/bin/env bash
# Installs mmdist under a prefix, so that `mpirun -n 8 mmdist train` works as typed.
set -euo pipefail

usage() {
  cat <<HELP
usage: cluster/install.sh [--prefix DIR] [--mpi-defaults] [--no-build]

  --prefix DIR     where to; default /usr/local as root, ~/.local otherwise
  --mpi-defaults   let mpirun start more ranks than there are cores and leave them unbound, for this user,
                   by two lines in ~/.openmpi/mca-params.conf
  --no-build       install .build/release as it is

DIR/bin/mmdist            the program (a link into DIR/lib/mmdist)
DIR/bin/mmdist-local      starts it on this machine with fitting ranks and threads
DIR/lib/mmdist            the program, its resources and the Swift libraries that it needs
DIR/share/mmdist          batch scripts, and env.sh to be sourced: PATH and the settings of Open MPI for this machine

Run again to update. On a cluster, choose a prefix that all nodes see.
HELP
}

fail() {
  echo "install: $1" >&2
  exit "${2:-70}"
}

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=$HOME/.local; fi
build=yes
mpi_defaults=no
while [ $# -gt 0 ]; do
  case $1 in
  --prefix)
    [ -n "${2:-}" ] || fail "--prefix wants a folder" 64
    prefix=$2
    shift
    ;;
  --prefix=?*) prefix=${1#*=} ;;
  --mpi-defaults) mpi_defaults=yes ;;
  --no-build) build=no ;;
  -h | --help)
    usage
    exit
    ;;
  *) fail "unknown argument '$1'; see --help" 64 ;;
  esac
  shift
done

# Build, unless the program is newer than everything that it is made from.
products=$repository/.build/release
program=$products/mmdist
is_current() {
  [ -x "$program" ] &&
    [ -z "$(find "$repository/Sources" "$repository/Package.swift" -newer "$program" -type f -print -quit)" ]
}
if [ $build = yes ] && ! is_current; then
  command -v swift >/dev/null || fail "no swift in PATH; install Swift 6.2 or later from swift.org" 69
  "$repository/cluster/dependencies.sh"
  swift build -c release --package-path "$repository" --product mmdist
fi
[ -x "$program" ] || fail "no $program; run without --no-build" 66

# Everything goes to a folder of its own first, which then takes the place of the old one.
if ! { mkdir -p "$prefix/bin" "$prefix/lib" "$prefix/share" && new=$(mktemp -d "$prefix/lib/.mmdist.XXXXXX"); }; then
  fail "cannot write to $prefix; choose another --prefix" 73
fi
prefix=$(cd "$prefix" && pwd)
new=$prefix/lib/${new##*/}
trap 'rm -rf "$new" "$new.share" "$new.old"' EXIT
mkdir "$new.share"
cp "$program" "$new/mmdist"
for bundle in "$products"/*.resources; do
  case $bundle in *Tests.resources | *'*'*) continue ;; esac
  cp -r "$bundle" "$new/"
done
# The Swift runtime stands beside the program, where its search path looks, so that nodes without Swift can run it.
ldd "$program" | awk '$3 ~ /\/swift\/linux\// { print $3 }' | while read -r library; do cp "$library" "$new/"; done
chmod -R a+rX,u+w "$new"

cluster=$repository/cluster
cp -r "$cluster/slurm" "$new.share/"
cat >"$new.share/env.sh" <<ENV
# Source this: mmdist in PATH, and Open MPI ready for it on this machine.
export PATH="$prefix/bin:\$PATH"
if [ "\$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
# More ranks than cores are allowed, and no rank is bound to a single core.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
ENV
chmod -R a+rX,u+w "$new.share"

replace() { # NEW OLD
  if [ -e "$2" ]; then mv "$2" "$new.old"; fi
  mv "$1" "$2"
  rm -rf "$new.old"
}
replace "$new" "$prefix/lib/mmdist"
replace "$new.share" "$prefix/share/mmdist"
ln -sfn ../lib/mmdist/mmdist "$prefix/bin/mmdist"
install -m 755 "$cluster/mmdist-local" "$prefix/bin/mmdist-local"

lost=$(ldd "$prefix/lib/mmdist/mmdist" | awk '/not found/ { print $1 }')
[ -z "$lost" ] || fail "installed, but libraries are missing here: ${lost//$'\n'/ }; see cluster/packages.sh --list" 69

if [ $mpi_defaults = yes ]; then
  settings=$HOME/.openmpi/mca-params.conf
  mkdir -p "$HOME/.openmpi"
  touch "$settings"
  for line in 'rmaps_base_oversubscribe = 1' 'hwloc_base_binding_policy = none'; do
    if ! grep -q "^[[:space:]]*${line%% *}[[:space:]]*=" "$settings"; then
      echo "$line" >>"$settings"
      echo "install: added '$line' to $settings"
    fi
  done
fi

echo "install: $prefix/bin/mmdist"
case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) echo "install: not in PATH yet; type:  . $prefix/share/mmdist/env.sh" ;;
esac
