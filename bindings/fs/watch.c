/*
 * Watching by inotify(7). To watch a file is an operation, since its file system may be slow to
 * allow it. The rest is about memory of the kernel's: it neither waits nor lets others run, so that
 * nothing can come between reading the events and handing them on.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"

#define READ_BYTES 32768

static int open_inotify(void)
{
    return inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

static int open_bell(void)
{
    return memfd_create("halo bell", MFD_CLOEXEC);
}

/*
 * Pushes a File that owns what open gives; or nil, message, code. Returns the count. The File comes
 * first, since memory may be out.
 */
static int push_own(lua_State *L, struct halo_loop *loop, int (*open)(void), const char *name)
{
    struct halo_lua_file *file = halo_file_new(L, name, strlen(name));
    int fd = open();
    int error = fd < 0 ? -errno : halo_file_adopt(loop, fd, false, &file->handle);
    if (error >= 0)
        return 1;
    if (fd >= 0)
        close(fd);
    return halo_push_error(L, -error, name, NULL);
}

/* Watches a file in memory that nobody else has. Returns the watch's number, or -errno. */
static int watch_bell(int inotify_fd, int bell_fd)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", bell_fd);
    int number = inotify_add_watch(inotify_fd, link, IN_ATTRIB);
    return number < 0 ? -errno : number;
}

/*
 * inotify(name): a File over a new instance, another over a bell, and the number by which it is
 * watched: ring() lets whoever waits for events find one.
 */
static int fs_inotify(lua_State *L)
{
    struct halo_loop *loop = halo_lua_loop(L, halo_lua_self(L));
    const char *name = luaL_checkstring(L, 1);

    int count = push_own(L, loop, open_inotify, name);
    if (count == 1)
        count = push_own(L, loop, open_bell, name);
    if (count > 1)
        return count;
    const struct halo_lua_file *inotify = lua_touserdata(L, -2), *bell = lua_touserdata(L, -1);
    int number = watch_bell(halo_file_fd(loop, inotify->handle), halo_file_fd(loop, bell->handle));
    if (number < 0)
        return halo_push_error(L, -number, name, NULL);
    lua_pushinteger(L, number);
    return 3;
}

/* The descriptor of the File that is the first argument, or -1. */
static int fd_of_file(lua_State *L, const char *name)
{
    const struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, name);
    return lua->loop ? halo_file_fd(lua->loop, file->handle) : -1;
}

/* ring(bell): changes its attributes, which is an event to whoever watches it. */
static int fs_ring(lua_State *L)
{
    int fd = fd_of_file(L, "ring");
    lua_pushboolean(L, fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0);
    return 1;
}

/* watch(file, inotify, events): the watch's number; that of a file that is watched already. */
static int fs_watch(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *inotify = halo_check_file(L, 2, "watch");
    uint32_t events = (uint32_t)halo_check_size(L, 3, "watch", INT32_MAX);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_WATCH, "watch");
    op->base = inotify->handle;
    op->flags = events;
    return halo_await(L, lua, op);
}

/* unwatch(inotify, number). Nothing happens where the kernel was faster. */
static int fs_unwatch(lua_State *L)
{
    int fd = fd_of_file(L, "unwatch");
    if (fd >= 0)
        inotify_rm_watch(fd, (int)halo_check_size(L, 2, "unwatch", INT32_MAX));
    return 0;
}

/* Pushes an array of { watch, mask, cookie, name or false }. */
static void push_events(lua_State *L, const char *data, size_t size)
{
    struct inotify_event event;
    int count = 0;

    lua_newtable(L);
    for (size_t at = 0; at + sizeof(event) <= size; at += sizeof(event) + event.len) {
        memcpy(&event, data + at, sizeof(event));
        lua_createtable(L, 4, 1);
        lua_pushinteger(L, event.wd);
        lua_rawseti(L, -2, 1);
        lua_pushnumber(L, event.mask);
        lua_rawseti(L, -2, 2);
        lua_pushnumber(L, event.cookie);
        lua_rawseti(L, -2, 3);
        if (event.len > 0)
            lua_pushstring(L, data + at + sizeof(event));
        else
            lua_pushboolean(L, 0);
        lua_rawseti(L, -2, 4);
        lua_rawseti(L, -2, ++count);
    }
}

/* read_events(inotify): those that are there, and whether there may be more. */
static int fs_read_events(lua_State *L)
{
    char data[READ_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
    int fd = fd_of_file(L, "read_events");
    ssize_t size = -1;

    while (fd >= 0 && (size = read(fd, data, sizeof(data))) < 0 && errno == EINTR)
        continue;
    push_events(L, data, size > 0 ? (size_t)size : 0);
    lua_pushboolean(L,
                    size > (ssize_t)(sizeof(data) - sizeof(struct inotify_event) - NAME_MAX - 1));
    return 2;
}

static const luaL_Reg functions[] = {
    {"inotify", fs_inotify},
    {"ring", fs_ring},
    {"watch", fs_watch},
    {"unwatch", fs_unwatch},
    {"read_events", fs_read_events},
    {NULL, NULL},
};

void halo_open_fs_watch(lua_State *L)
{
    halo_register(L, functions);
}
