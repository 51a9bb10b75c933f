/* test_transcripts.c: replays the transcripts that are named on the command line. */
#include "transcript.h"

#include <stdlib.h>

int main(int count, char **names)
{
  unsigned failed = 0;
  if (count < 2) {
    fprintf(stderr, "usage: %s TRANSCRIPT...\n", names[0]);
    return 64;
  }
  for (int i = 1; i < count; i++) {
    unsigned long sections = 0;
    unsigned long replays = 0;
    unsigned bad = transcript_test(names[i], stderr, &sections, &replays);
    printf("%s: %lu sections, %lu replays, %u failed\n", names[i], sections, replays, bad);
    failed += bad;
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
