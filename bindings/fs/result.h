/* result.h: ended operations as Lua values, and errors as nil, message, code. */
#ifndef HALO_FS_RESULT_H
#define HALO_FS_RESULT_H

#include "tasks/state.h"

#define HALO_OPEN_FILE_INDEX 4  /* where fs.open() keeps the File that it is opening */
#define HALO_READ_INTO       1u /* op->flags of a read: into a halo.buffer, the result is a count */
#define HALO_WRITE_FROM      1u /* op->flags of a write: from a halo.buffer */

/* True where the result is a number, true, or a value that is there: to push it cannot fail. */
bool halo_result_is_plain(const struct halo_op *op);
/*
 * Pushes the values of an operation that has ended onto L, and returns their count. from is the
 * stack on which the call's arguments lie: L itself, or the coroutine that is suspended in the
 * call.
 */
int halo_push_result(lua_State *L, struct halo_lua *lua, struct halo_op *op, lua_State *from);

/* Pushes nil, message, code for an errno, with the message's paths or NULL. Returns 3. */
int halo_push_refusal(lua_State *L, const struct halo_lua *lua, unsigned right, const char *path);
int halo_push_error(lua_State *L, int error, const char *path, const char *path2);

#endif
