/* user.h: who this process is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_USER_H
#define MAILD_USER_H

/* Becomes this user, with his groups and no way back. Ends the process if it cannot. */
void user_become(const char *name);

#endif
