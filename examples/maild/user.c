/* user.c: see user.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "user.h"

#include "../common.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void user_become(const char *name)
{
  const struct passwd *user = getpwnam(name);
  if (user == NULL) {
    complain("--user", "there is no such user");
    exit(EX_NOUSER);
  }
  if (geteuid() == user->pw_uid && getuid() == user->pw_uid)
    return; /* as after a takeover */
  if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
    bad_system("--user", strerror(errno));
  if (user->pw_uid != 0 && (setuid(0) == 0 || geteuid() == 0))
    bad_system("--user", "root is not given up");
}
