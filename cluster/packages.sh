#!/usr/bin/env bash
# Installs the Debian packages that mmdist is built and run with, where they are missing.
#   cluster/packages.sh [--list]      --list: only print their names
set -euo pipefail

packages=(libonig-dev libjansson-dev libpng-dev libjpeg62-turbo-dev libzstd-dev zlib1g-dev zstd libopenblas0-pthread
  libopenmpi-dev openmpi-bin libxxhash-dev pkg-config)

if [ "${1:-}" = --list ]; then
  echo "${packages[*]}"
  exit
fi
if ! command -v dpkg-query >/dev/null; then
  echo "packages: this is no Debian; the build needs what these hold: ${packages[*]}" >&2
  exit
fi

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    echo "packages: missing, and not allowed to install them; run as root: apt-get install -y ${missing[*]}" >&2
    exit 69
  fi
  as_root=(sudo)
fi

# Another program that installs is waited for, and a server that fails is asked again.
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

echo "packages: installing ${missing[*]}"
# An update waits for no lock, so it is tried again.
for pause in 5 10 20 40 0; do
  apt_get update && break
  if [ "$pause" = 0 ]; then
    echo "packages: apt-get update failed five times; trying with the lists as they are" >&2
  else
    sleep "$pause"
  fi
done
apt_get install -y --no-install-recommends "${missing[@]}"
