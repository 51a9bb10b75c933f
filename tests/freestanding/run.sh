#!/bin/sh
# run.sh [DIRECTORY]: libehlo on bare metal. Builds it for Cortex-M0 and Cortex-M4 without a C library, with nothing but the mem*
# functions of this directory; runs a session in memory in an emulator; and tells how large it became.
set -eu
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ]; then
  work=$1
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

for processor in cortex-m0 cortex-m4; do
  objects=$work/$processor
  rm -rf "$objects"
  mkdir -p "$objects"
  compile() { # compile SOURCE [OPTION]
    arm-none-eabi-gcc -std=c11 -mcpu=$processor -mthumb -Os -ffreestanding ${2:-} \
      -ffunction-sections -fdata-sections -Wall -Wextra -Werror \
      -nostdinc -isystem "$(arm-none-eabi-gcc -print-file-name=include)" -isystem tests/freestanding/include -Iinclude \
      -DEHLO_BUILD -c "$1" -o "$objects/$(echo "$1" | tr / -).o"
  }
  for source in lib/*/*.c; do
    compile "$source"
  done
  arm-none-eabi-ar rcs "$objects/libehlo.a" "$objects"/lib-*.o
  for source in tests/freestanding/*.c; do
    compile "$source" -fno-tree-loop-distribute-patterns # else memset becomes a call of memset
  done
  # libgcc is the compiler's own: multiplication and division where the processor has none.
  arm-none-eabi-gcc -mcpu=$processor -mthumb -nostdlib -static -Wl,--gc-sections -Wl,--fatal-warnings \
    -Wl,--entry=reset -T tests/freestanding/image.ld -o "$objects/image" "$objects"/tests-*.o "$objects/libehlo.a" -lgcc
  echo "== $processor"
  case $processor in
  cortex-m0) machine=microbit ;;
  cortex-m4) machine=mps2-an386 ;;
  esac
  timeout 60 qemu-system-arm -M $machine -display none -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel "$objects/image"
  arm-none-eabi-size -t "$objects/libehlo.a" | awk 'END {
      print "libehlo: text " $1 ", data " $2 ", bss " $3
      exit $2 + $3 > 0
    }'
done
