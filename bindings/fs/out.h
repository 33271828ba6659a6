/*
 * out.h: what has been written to a File and not yet handed to the core: its buffer. Small writes
 * are gathered there. Every other call on the File sends them first, as a write behind, which the
 * core keeps in order with what follows.
 */
#ifndef HALO_FS_OUT_H
#define HALO_FS_OUT_H

#include "fs/file.h"

struct halo_out {
    struct halo_out *next, **link; /* all of this state's, the earliest first */
    uint64_t handle;
    size_t used, size; /* bytes */
    const char *path;  /* behind the bytes */
    bool forgotten;    /* its File was collected: to be sent and closed at the next turn */
    uint8_t data[];
};

/* Gives an open File a buffer. False where memory is out. */
bool halo_out_make(struct halo_lua *lua, struct halo_lua_file *file, size_t size);
/* Takes it away, with what is in it. */
void halo_out_free(struct halo_lua *lua, struct halo_lua_file *file);
/* For a finalizer: leaves what is in it to the next turn, and the close as well. */
void halo_out_forget(struct halo_lua *lua, struct halo_lua_file *file);

/*
 * A write behind of what is in the buffer, with room for more bytes behind, to be submitted next.
 * Raises where memory is out, and then nothing is lost.
 */
struct halo_op *halo_out_take(lua_State *L, struct halo_lua *lua, struct halo_out *out,
                              size_t more);
/* Sends what is in the buffer. 0, or -ENOMEM, and then nothing is lost. */
int halo_out_send(struct halo_lua *lua, struct halo_out *out);
/*
 * Sends it where there is something, and waits on the spot until all is written. 0 or an error.
 * After an interrupt it does not wait: nobody may ever read what goes to a pipe. The loop's end
 * gives it time.
 */
int halo_out_flush(struct halo_lua *lua, struct halo_out *out);

/*
 * C's own buffer of standard output goes out before what is written to the same by halo. Where
 * halo.io is in use that waits for nobody, and takes the turn from print and io.write. 0, or
 * -ENOMEM.
 */
int halo_out_settle_stdio(lua_State *L, struct halo_lua *lua, const struct halo_lua_file *file);
/* Whether there is anything to do for that. */
bool halo_out_is_settled(const struct halo_lua *lua, const struct halo_lua_file *file);

/*
 * Whether an error of this descriptor says that nobody reads what a command prints any more. Then
 * its tasks have been cancelled, and a call that is not shielded raises that.
 */
bool halo_out_is_unread(struct halo_lua *lua, int fd, int error);

/* What the scheduler calls, and the end of halo, which waits for what is under way. */
void halo_out_send_forgotten(struct halo_lua *lua);
void halo_out_send_all(struct halo_lua *lua);

#endif
