/* test_transcripts.c: replays transcripts against the server; see transcript_main. */
#include "transcript.h"

int main(int count, char **names)
{
  return transcript_main(count, names, "", transcript_test);
}
