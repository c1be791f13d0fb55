#!/usr/bin/env bash
# Builds the Debian package.
#
#     cross/build.sh amd64 [OUT]      for this kind of machine
#     cross/build.sh arm64 [OUT]      for a Raspberry Pi 4/5 or a Jetson (glibc 2.34: Raspberry Pi OS 12, JetPack 6)
#     cross/build.sh test [OUT]       for this kind of machine, with the build of the tests: quick, larger, for cross/vm/run.py
#     cross/build.sh packages         installs what cross/packages.txt lists (Debian 12, as root)
#
# OUT is the folder for the .deb, out/packages unless given. Where rustup has the target (rustup target add
# aarch64-unknown-linux-gnu), its compiler builds; else Debian's rustc-web with its arm64 library does.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() {
  sed -n '2,10s/^# \{0,1\}//p' cross/build.sh
  exit 2
}
packages() {
  dpkg --add-architecture arm64
  apt-get update -qq
  sed 's/#.*//' cross/packages.txt | xargs apt-get install -y --no-install-recommends
}
kind=${1:-}
out=${2:-out/packages}
case $kind in
  packages) packages; exit ;;
  amd64) target=x86_64-unknown-linux-gnu ;;
  test) target= ;;
  arm64) target=aarch64-unknown-linux-gnu ;;
  *) usage ;;
esac

# bindgen, for the camera's headers, loads libclang.
: "${LIBCLANG_PATH:=$(find /usr/lib/llvm-*/lib -maxdepth 1 -name 'libclang*.so*' -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)}"
[ -n "$LIBCLANG_PATH" ] || { echo "no libclang found: cross/build.sh packages, or set LIBCLANG_PATH" >&2; exit 1; }
export LIBCLANG_PATH
if [ "$kind" = arm64 ]; then
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
  # bindgen must read the board's headers, not this machine's.
  export BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="--target=aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include"
  if ! rustc --print target-libdir --target "$target" 2>/dev/null | xargs -I{} test -d {}; then
    [ -x /usr/bin/rustc ] || { echo "no Rust library for arm64: rustup target add $target, or cross/build.sh packages" >&2; exit 1; }
    export RUSTC=/usr/bin/rustc
  fi
fi

command -v cargo-deb >/dev/null || cargo install cargo-deb --locked --no-default-features
how=(--profile dist --target "$target")
[ "$kind" = test ] && how=(--profile release)
cargo build "${how[@]}" --features onboard -p alight --bin alight
mkdir -p "$out"
# Stripped already. dpkg-shlibdeps knows only this machine's libraries: what the program needs on the board is glibc.
strip=(--no-strip)
[ "$kind" = test ] && strip=(--strip)
cargo deb --no-build "${strip[@]}" "${how[@]}" -p alight --output "$out/"
ls -l "$out"/*.deb
