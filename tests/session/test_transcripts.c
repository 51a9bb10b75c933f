/* test_transcripts.c: replays the transcripts that are named on the command line.
 *
 * Where the environment's EHLO_LOGS names a directory, the logs of data.txt are left there in data.txt.log, so that
 * those of several machines can be compared (tests/cross/run.sh). */
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

/* Opens the file for the logs of a transcript; NULL with a message if that cannot be. */
static FILE *open_logs(const char *directory, const char *name)
{
  struct text path = {0};
  const char *slash = strrchr(name, '/');
  text_print(&path, "%s/%s.log", directory, slash == NULL ? name : slash + 1);
  FILE *logs = fopen(path.ptr, "wb");
  if (logs == NULL) {
    perror(path.ptr);
  }
  text_free(&path);
  return logs;
}

int main(int count, char **names)
{
  const char *directory = getenv("EHLO_LOGS");
  unsigned failed = 0;
  if (count < 2) {
    fprintf(stderr, "usage: %s TRANSCRIPT...\n", names[0]);
    return 64;
  }
  for (int i = 1; i < count; i++) {
    unsigned long sections = 0;
    unsigned long replays = 0;
    FILE *logs = NULL;
    if (directory != NULL && (logs = open_logs(directory, names[i])) == NULL) {
      return EXIT_FAILURE;
    }
    unsigned bad = transcript_test(names[i], stderr, logs, &sections, &replays);
    printf("%s: %lu sections, %lu replays, %u failed\n", names[i], sections, replays, bad);
    failed += bad;
    if (logs != NULL && fclose(logs) != 0) {
      perror(directory);
      return EXIT_FAILURE;
    }
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
