/* kernel.c NAME: is that the kernel which the search chooses here? test_scan.c tries each up to the one that is chosen,
 * so it tells nothing of vectors that were left out by mistake. */
#include <stdio.h>
#include <string.h>

#include "bytes/scan.h"

int main(int count, char **arguments)
{
  static const char *const names[] = {
      [KERNEL_PORTABLE] = "portable", [KERNEL_SSE2] = "SSE2", [KERNEL_AVX2] = "AVX2", [KERNEL_NEON] = "NEON"};
  const char *chosen = names[ehlo_scan_kernel()];
  printf("%s\n", chosen);
  return count == 2 && strcmp(arguments[1], chosen) == 0 ? 0 : 1;
}
