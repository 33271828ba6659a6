/*
 * model.h: a file system in memory, and the kernel's part that halo sees of it: names, links,
 * directories, data, descriptors, positions, locks, and streams with somebody at their other end.
 *
 * Nothing here fails by chance, waits or takes time; that is weather.h's. Each function is a
 * system call: it returns its result or -errno.
 */
#ifndef SIMULATOR_MODEL_H
#define SIMULATOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MODEL_FD_FIRST 100000 /* no real call must ever see these */
#define MODEL_FDS      4096
#define MODEL_NAME_MAX 255

struct statx;
struct model_stream;

struct model_node {
    uint64_t ino;
    mode_t mode;
    unsigned device; /* which file system */
    unsigned links;  /* names, and for a directory also its own "." */
    unsigned open;   /* handles */
    uid_t uid;
    gid_t gid;
    struct timespec times[2]; /* of access, of modification */
    uint8_t *data;            /* of a file; a symbolic link's text */
    size_t size, room;
    struct model_entry *entries; /* of a directory */
    struct model_node *parent;
    struct model_stream *stream; /* of a FIFO */
    unsigned shared;             /* locks */
    bool exclusive;
    bool guarded; /* what is made in here is private until this user owns it */
    uid_t guard_uid;
    bool ordered; /* a directory in which a name is given only to what is on the disk */
    bool dirty;   /* has data that is not there yet */
    int lost;     /* what the next fsync tells, once: data did not reach the disk */
};

struct model_entry {
    char name[MODEL_NAME_MAX + 1];
    uint64_t order; /* ever greater: where a listing goes on */
    struct model_node *node;
    struct model_entry *next;
};

/* An open file description. */
struct model_handle {
    struct model_node *node;
    int flags;
    uint64_t position; /* of a directory, the order of the entry that was read last */
    int lock;          /* LOCK_SH, LOCK_EX or 0 */
    unsigned fds;      /* descriptors */
};

void model_begin(void);

/* ---- names (names.c) ----------------------------------------------------------------------- */

/* Where a path leads. */
struct model_place {
    struct model_node *directory; /* that the last component is in; NULL for the root */
    struct model_node *node;      /* or NULL: there is none of that name */
    char name[MODEL_NAME_MAX + 1];
    bool slash; /* it ends in one */
};

/* Follows a path. resolve: RESOLVE_* of openat2(2). Returns 0 or -errno. */
int model_walk(int base, const char *path, bool follow, uint64_t resolve,
               struct model_place *place);
/* The node that a path leads to, or -errno where there is none. */
int model_find(int base, const char *path, bool follow, struct model_node **node);
/* Makes a node of that type with a name. */
int model_make(const struct model_place *place, mode_t mode, struct model_node **node);
/* Fails where a node is for others, and not yet the user's whose it has to be. */
void model_check_private(const struct model_node *node);
/* Frees a node that has neither a name nor a handle. */
void model_forget(struct model_node *node);

int model_mknod(int base, const char *path, mode_t mode);
int model_mkdir(int base, const char *path, mode_t mode);
int model_symlink(const char *text, int base, const char *path);
int model_link(int base, const char *path, int base2, const char *path2);
int model_unlink(int base, const char *path, bool directory);
int model_rename(int base, const char *path, int base2, const char *path2, unsigned flags);
ssize_t model_realpath(const char *path, char *out, size_t size);

/* ---- descriptors and data (data.c) --------------------------------------------------------- */

static inline bool model_owns(int fd)
{
    return fd >= MODEL_FD_FIRST;
}

/* The handle of a descriptor, or NULL. */
struct model_handle *model_handle(int fd);
unsigned model_open_count(void);

int model_open(int base, const char *path, int flags, mode_t mode, uint64_t resolve);
int model_close(int fd);
int model_duplicate(int fd);
/* offset -1: at the handle's own position. */
ssize_t model_read(int fd, void *data, size_t length, off_t offset);
ssize_t model_write(int fd, const void *data, size_t length, off_t offset);
int model_truncate(struct model_node *node, size_t size);
int model_fallocate(int fd, int mode, off_t offset, off_t length);
off_t model_seek(int fd, off_t offset, int whence);
int model_flock(int fd, int how);
ssize_t model_getdents(int fd, void *out, size_t size, unsigned most);
void model_status(const struct model_node *node, struct statx *status);

/* ---- streams (streams.c) ------------------------------------------------------------------- */

/* Makes a FIFO that somebody else writes so many bytes to, bit by bit, and then closes. */
int model_add_source(const char *path, size_t total);
/* Makes one that somebody else has opened, and never writes to. */
int model_add_silent(const char *path);
/* Makes a FIFO that somebody else begins to read from some time, bit by bit. */
int model_add_sink(const char *path);
/* What a source gives at a place. */
uint8_t model_source_byte(const struct model_node *node, size_t at);

/* When something happens at the other end of a stream: UINT64_MAX for never. */
uint64_t model_streams_next_ns(void);
void model_streams_pass(void);

ssize_t model_stream_read(struct model_node *node, void *data, size_t length);
ssize_t model_stream_write(struct model_node *node, const void *data, size_t length);
bool model_stream_has_reader(const struct model_node *node);
/* The POLL* bits among those wanted that are there now. */
short model_poll(int fd, short wanted);

#endif
