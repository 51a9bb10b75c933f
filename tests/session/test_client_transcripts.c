/* test_client_transcripts.c: replays transcripts against the client; see transcript_main. */
#include "client_transcript.h"

int main(int count, char **names)
{
  return transcript_main(count, names, "client-", client_transcript_test);
}
