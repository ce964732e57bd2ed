#!/bin/bash
# Installs into a stage, then builds and runs a program that sees only what a user sees: the
# installed headers, the installed archive and the flags that pkg-config prints.
set -euo pipefail
if (($# < 5)); then
  echo "usage: $0 MESON BUILD_DIR PKGCONFIG_DIR SOURCE COMPILER..." >&2
  exit 2
fi
meson=$1 build=$2 pkgconfig_dir=$3 source=$4
shift 4
compiler=("$@")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
"$meson" install -C "$build" --no-rebuild --quiet --destdir "$stage"

# The installed file names the final prefix; for the stage its prefix is the stage's.
mkdir "$work/pkgconfig"
sed "s|^prefix=|prefix=$stage|" "$stage$pkgconfig_dir/atoll.pc" >"$work/pkgconfig/atoll.pc"
export PKG_CONFIG_PATH=$work/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

warnings=(-Wall -Wextra -Werror -pedantic -Wconversion -Wshadow)
for mode in "" --static; do
  read -ra cflags <<<"$(pkg-config $mode --cflags atoll)"
  read -ra libs <<<"$(pkg-config $mode --libs atoll)"
  "${compiler[@]}" -std=c++20 "${warnings[@]}" "${cflags[@]}" "$source" -o "$work/consumer" \
    "${libs[@]}"
  "$work/consumer"
done
